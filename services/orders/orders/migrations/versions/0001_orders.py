"""Orders, their lines, payments and invoices, and how many there are of each status."""

from alembic import op

revision = "0001_orders"
down_revision = None

STATEMENTS = (
    "CREATE SEQUENCE order_numbers",
    """
    CREATE TABLE order_count_changes (
        position BIGINT GENERATED ALWAYS AS IDENTITY,
        status TEXT NOT NULL,
        change SMALLINT NOT NULL,
        CONSTRAINT pk_order_count_changes PRIMARY KEY (position)
    )
    """,
    """
    CREATE TABLE order_counts (
        status TEXT NOT NULL,
        count BIGINT NOT NULL,
        CONSTRAINT pk_order_counts PRIMARY KEY (status)
    )
    """,
    """
    CREATE TABLE order_invoices (
        order_id UUID NOT NULL,
        invoice_id UUID NOT NULL,
        invoice_number TEXT NOT NULL,
        currency TEXT NOT NULL,
        total_amount NUMERIC(19, 4) NOT NULL,
        issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
        document JSONB NOT NULL,
        epoch INTEGER NOT NULL,
        sequence BIGINT NOT NULL,
        CONSTRAINT pk_order_invoices PRIMARY KEY (order_id)
    )
    """,
    """
    CREATE TABLE orders (
        id UUID NOT NULL,
        order_number TEXT NOT NULL,
        customer_id UUID NOT NULL,
        customer_email TEXT,
        customer_name TEXT,
        buyer_vat_id TEXT,
        status TEXT NOT NULL,
        currency TEXT NOT NULL,
        net_amount NUMERIC(19, 4) NOT NULL,
        tax_amount NUMERIC(19, 4) NOT NULL,
        total_amount NUMERIC(19, 4) NOT NULL,
        captured_amount NUMERIC(19, 4),
        payment_method TEXT NOT NULL,
        payment_transaction_id TEXT,
        shipping_address JSONB NOT NULL,
        billing_address JSONB NOT NULL,
        tracking_number TEXT,
        carrier TEXT,
        cancellation_reason TEXT,
        refund_status TEXT NOT NULL,
        refund_transaction_id TEXT,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
        paid_at TIMESTAMP WITH TIME ZONE,
        shipped_at TIMESTAMP WITH TIME ZONE,
        delivered_at TIMESTAMP WITH TIME ZONE,
        cancelled_at TIMESTAMP WITH TIME ZONE,
        version INTEGER NOT NULL,
        sequence BIGINT NOT NULL,
        audit_position INTEGER NOT NULL,
        audit_hash BYTEA NOT NULL,
        CONSTRAINT pk_orders PRIMARY KEY (id),
        CONSTRAINT ck_orders_status CHECK (
            status IN ('PENDING_PAYMENT', 'PAID', 'PROCESSING_IN_WAREHOUSE', 'SHIPPED', 'DELIVERED', 'CANCELLED')
        ),
        CONSTRAINT ck_orders_refund_status CHECK (refund_status IN ('NONE', 'PENDING', 'SUCCEEDED', 'FAILED')),
        CONSTRAINT ck_orders_total_amount_positive CHECK (total_amount > 0),
        CONSTRAINT uq_orders_order_number UNIQUE (order_number)
    )
    """,
    "CREATE INDEX ix_orders_customer_id_newest ON orders (customer_id, created_at DESC, id DESC)",
    "CREATE INDEX ix_orders_newest ON orders (created_at DESC, id DESC)",
    "CREATE INDEX ix_orders_status_newest ON orders (status, created_at DESC, id DESC)",
    """
    CREATE TABLE order_lines (
        order_id UUID NOT NULL,
        position SMALLINT NOT NULL,
        id UUID NOT NULL,
        product_id UUID NOT NULL,
        product_name TEXT NOT NULL,
        quantity INTEGER NOT NULL,
        unit_price NUMERIC(19, 4) NOT NULL,
        tax_rate NUMERIC(5, 2) NOT NULL,
        subtotal NUMERIC(19, 4) NOT NULL,
        CONSTRAINT pk_order_lines PRIMARY KEY (order_id, position),
        CONSTRAINT ck_order_lines_quantity_positive CHECK (quantity > 0),
        CONSTRAINT fk_order_lines_order_id FOREIGN KEY(order_id) REFERENCES orders (id)
    )
    """,
    """
    CREATE TABLE payments (
        order_id UUID NOT NULL,
        reference TEXT NOT NULL,
        amount NUMERIC(19, 4) NOT NULL,
        late BOOLEAN NOT NULL,
        reported_at TIMESTAMP WITH TIME ZONE NOT NULL,
        refund_status TEXT,
        refund_transaction_id TEXT,
        refund_epoch INTEGER DEFAULT 0 NOT NULL,
        refund_sequence BIGINT DEFAULT 0 NOT NULL,
        CONSTRAINT pk_payments PRIMARY KEY (order_id, reference),
        CONSTRAINT ck_payments_refund_status CHECK (refund_status IN ('SUCCEEDED', 'FAILED')),
        CONSTRAINT fk_payments_order_id FOREIGN KEY(order_id) REFERENCES orders (id)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
