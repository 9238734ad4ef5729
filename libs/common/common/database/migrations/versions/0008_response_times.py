"""Create the histograms of response times per process, for JSON metrics over all processes (ADR 22)."""

from alembic import op

revision = "0008_response_times"
down_revision = "0004_poison_identity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE response_times (
            process UUID NOT NULL,
            slot TIMESTAMP WITH TIME ZONE NOT NULL,
            seconds DOUBLE PRECISION NOT NULL,
            buckets INTEGER[] NOT NULL,
            counts INTEGER[] NOT NULL,
            CONSTRAINT pk_response_times PRIMARY KEY (process, slot)
        )
        """
    )
