"""Store which details of a discrepancy are not compared with what was acknowledged (ADR 40).

A reconciler of the previous version continues to work: it compares all of them.
"""

from alembic import op

revision = "0022_volatile_details"
down_revision = "0021_poison_cause_online"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE discrepancies ADD COLUMN volatile_details TEXT[] DEFAULT '{}' NOT NULL")
