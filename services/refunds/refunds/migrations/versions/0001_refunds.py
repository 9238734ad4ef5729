"""Refunds, and how many there are of each status."""

from alembic import op

revision = "0001_refunds"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE refund_count_changes (
        position BIGINT GENERATED ALWAYS AS IDENTITY,
        status TEXT NOT NULL,
        change SMALLINT NOT NULL,
        CONSTRAINT pk_refund_count_changes PRIMARY KEY (position)
    )
    """,
    """
    CREATE TABLE refund_counts (
        status TEXT NOT NULL,
        count BIGINT NOT NULL,
        CONSTRAINT pk_refund_counts PRIMARY KEY (status)
    )
    """,
    """
    CREATE TABLE refunds (
        id UUID NOT NULL,
        business_key TEXT NOT NULL,
        cause TEXT NOT NULL,
        order_id UUID NOT NULL,
        order_number TEXT NOT NULL,
        return_id UUID,
        amount NUMERIC(19, 4) NOT NULL,
        currency TEXT NOT NULL,
        payment_reference TEXT NOT NULL,
        customer_email TEXT,
        customer_name TEXT,
        status TEXT NOT NULL,
        transaction_id TEXT,
        error TEXT,
        attempts INTEGER NOT NULL,
        key_epoch INTEGER NOT NULL,
        key_spent BOOLEAN NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        completed_at TIMESTAMP WITH TIME ZONE,
        audit_position INTEGER NOT NULL,
        audit_hash BYTEA NOT NULL,
        CONSTRAINT pk_refunds PRIMARY KEY (id),
        CONSTRAINT uq_refunds_business_key UNIQUE (business_key),
        CONSTRAINT uq_refunds_transaction_id UNIQUE (transaction_id),
        CONSTRAINT ck_refunds_cause CHECK (cause IN ('RETURN_COMPLETED', 'ORDER_CANCELLED', 'LATE_PAYMENT')),
        CONSTRAINT ck_refunds_return_of_cause CHECK ((cause = 'RETURN_COMPLETED') = (return_id IS NOT NULL)),
        CONSTRAINT ck_refunds_status CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED')),
        CONSTRAINT ck_refunds_succeeded_means_made CHECK (
            (status = 'SUCCEEDED') = (transaction_id IS NOT NULL)
            AND (status = 'SUCCEEDED') = (completed_at IS NOT NULL)
        ),
        CONSTRAINT ck_refunds_amount_positive CHECK (amount > 0)
    )
    """,
    "CREATE INDEX ix_refunds_order_id ON refunds (order_id)",
    "CREATE INDEX ix_refunds_return_id ON refunds (return_id)",
    "CREATE INDEX ix_refunds_newest ON refunds (created_at DESC, id DESC)",
    """
    CREATE INDEX ix_refunds_not_succeeded ON refunds (status, created_at DESC, id DESC)
    WHERE status <> 'SUCCEEDED'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
