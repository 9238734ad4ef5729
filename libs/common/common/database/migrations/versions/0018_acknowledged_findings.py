"""Discrepancies that a person has acknowledged (ADR 40).

A reconciler of the previous version continues to work: it reports an acknowledged one as open.
"""

from alembic import op

revision = "0018_acknowledged_findings"
down_revision = "0018_api_key_subject"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE discrepancies
            ADD COLUMN acknowledged_at TIMESTAMP WITH TIME ZONE,
            ADD COLUMN acknowledged_by TEXT,
            ADD COLUMN acknowledged_reason TEXT
        """
    )
