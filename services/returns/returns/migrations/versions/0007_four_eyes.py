"""Who opened a return, and its approvals.

The previous version of the service continues to work: it writes none of the columns. No row is rewritten.
"""

from alembic import op

revision = "0007_four_eyes"
down_revision = "0006_notes"


def upgrade() -> None:
    op.execute("ALTER TABLE returns ADD COLUMN opened_by UUID, ADD COLUMN approvals JSONB")
