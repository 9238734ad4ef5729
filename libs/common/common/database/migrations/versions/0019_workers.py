"""Create the table of running workers, so that a job that no worker claims is told from one that all are too busy for
(ADR 42)."""

from alembic import op

revision = "0019_workers"
down_revision = "0018_acknowledged_findings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE workers (
            name TEXT NOT NULL,
            kinds TEXT[] NOT NULL,
            active_until TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_workers PRIMARY KEY (name)
        )
        """
    )
