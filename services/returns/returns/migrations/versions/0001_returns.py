"""Returns, what is known of orders, and how many returns there are of each status."""

from alembic import op

revision = "0001_returns"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE known_orders (
        order_id UUID NOT NULL,
        order_number TEXT NOT NULL,
        customer_id UUID NOT NULL,
        customer_email TEXT,
        customer_name TEXT,
        status TEXT NOT NULL,
        currency TEXT NOT NULL,
        total_amount NUMERIC(19, 4) NOT NULL,
        captured_amount NUMERIC(19, 4),
        payment_reference TEXT,
        delivered_at TIMESTAMP WITH TIME ZONE,
        epoch INTEGER NOT NULL,
        sequence BIGINT NOT NULL,
        CONSTRAINT pk_known_orders PRIMARY KEY (order_id),
        CONSTRAINT ck_known_orders_delivered_means_paid CHECK (
            status <> 'DELIVERED' OR (delivered_at IS NOT NULL AND payment_reference IS NOT NULL)
        )
    )
    """,
    """
    CREATE TABLE return_count_changes (
        position BIGINT GENERATED ALWAYS AS IDENTITY,
        status TEXT NOT NULL,
        change SMALLINT NOT NULL,
        CONSTRAINT pk_return_count_changes PRIMARY KEY (position)
    )
    """,
    """
    CREATE TABLE return_counts (
        status TEXT NOT NULL,
        count BIGINT NOT NULL,
        CONSTRAINT pk_return_counts PRIMARY KEY (status)
    )
    """,
    """
    CREATE TABLE returns (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        order_number TEXT NOT NULL,
        customer_id UUID NOT NULL,
        customer_email TEXT,
        customer_name TEXT,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        customer_notes TEXT,
        manager_notes TEXT,
        rejection_reason TEXT,
        refund_amount NUMERIC(19, 4) NOT NULL,
        currency TEXT NOT NULL,
        payment_reference TEXT NOT NULL,
        refund_status TEXT NOT NULL,
        refund_transaction_id TEXT,
        refund_epoch INTEGER DEFAULT 0 NOT NULL,
        refund_sequence BIGINT DEFAULT 0 NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
        approved_at TIMESTAMP WITH TIME ZONE,
        rejected_at TIMESTAMP WITH TIME ZONE,
        completed_at TIMESTAMP WITH TIME ZONE,
        version INTEGER NOT NULL,
        sequence BIGINT NOT NULL,
        audit_position INTEGER NOT NULL,
        audit_hash BYTEA NOT NULL,
        CONSTRAINT pk_returns PRIMARY KEY (id),
        CONSTRAINT ck_returns_status CHECK (
            status IN ('REQUESTED', 'APPROVED', 'REJECTED', 'IN_TRANSIT', 'RECEIVED', 'COMPLETED')
        ),
        CONSTRAINT ck_returns_rejection_reason CHECK (
            rejection_reason IN ('damage_not_covered', 'policy_violation', 'outside_window', 'fraudulent')
        ),
        CONSTRAINT ck_returns_refund_status CHECK (refund_status IN ('NONE', 'PENDING', 'SUCCEEDED', 'FAILED')),
        CONSTRAINT ck_returns_refunded_once_completed CHECK ((refund_status <> 'NONE') = (status = 'COMPLETED')),
        CONSTRAINT ck_returns_refund_amount_positive CHECK (refund_amount > 0),
        CONSTRAINT uq_returns_order_id UNIQUE (order_id)
    )
    """,
    "CREATE INDEX ix_returns_customer_id_newest ON returns (customer_id, created_at DESC, id DESC)",
    "CREATE INDEX ix_returns_newest ON returns (created_at DESC, id DESC)",
    "CREATE INDEX ix_returns_status_newest ON returns (status, created_at DESC, id DESC)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
