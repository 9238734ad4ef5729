"""Create the table of what the reconciler finds (ADR 40)."""

from alembic import op

revision = "0014_discrepancies"
down_revision = "0013_rate_limit_leases"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE discrepancies (
        id UUID NOT NULL,
        "check" TEXT NOT NULL,
        subject TEXT NOT NULL,
        key TEXT,
        details JSONB NOT NULL,
        first_seen TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        last_seen TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        occurrences INTEGER DEFAULT 1 NOT NULL,
        repairs INTEGER DEFAULT 0 NOT NULL,
        repaired_at TIMESTAMP WITH TIME ZONE,
        repair_error TEXT,
        resolved_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_discrepancies PRIMARY KEY (id)
    )
    """,
    'CREATE UNIQUE INDEX uq_discrepancies_open ON discrepancies ("check", subject) WHERE resolved_at IS NULL',
    "CREATE INDEX ix_discrepancies_newest ON discrepancies (first_seen DESC, id)",
    "CREATE INDEX ix_discrepancies_resolved_at ON discrepancies (resolved_at) WHERE resolved_at IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
