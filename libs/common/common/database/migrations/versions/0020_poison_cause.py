"""Store the cause of a poison record, so that records are chosen by it without computing it for each (ADR 44).

Consumers of the previous version continue to work: what they store has the cause '', which is shown as not classified.
"""

from alembic import op

revision = "0020_poison_cause"
down_revision = "0019_workers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE poison ADD COLUMN cause TEXT DEFAULT '' NOT NULL")
