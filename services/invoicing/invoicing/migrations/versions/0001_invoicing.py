"""Invoices, their frozen snapshots and the series that number them."""

from alembic import op

revision = "0001_invoicing"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE number_series (
        seller TEXT NOT NULL,
        kind TEXT NOT NULL,
        year SMALLINT NOT NULL,
        last_position INTEGER NOT NULL,
        last_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_number_series PRIMARY KEY (seller, kind, year)
    )
    """,
    """
    CREATE TABLE invoices (
        id UUID NOT NULL,
        order_id UUID NOT NULL,
        order_number TEXT NOT NULL,
        customer_id UUID NOT NULL,
        seller TEXT NOT NULL,
        number TEXT NOT NULL,
        currency TEXT NOT NULL,
        net_amount NUMERIC(19, 4) NOT NULL,
        tax_amount NUMERIC(19, 4) NOT NULL,
        total_amount NUMERIC(19, 4) NOT NULL,
        status TEXT NOT NULL,
        mail_status TEXT NOT NULL,
        document_sha256 TEXT,
        document_size_bytes BIGINT,
        failed_step TEXT,
        error TEXT,
        attempts INTEGER,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        issued_at TIMESTAMP WITH TIME ZONE,
        audit_position INTEGER NOT NULL,
        audit_hash BYTEA NOT NULL,
        CONSTRAINT pk_invoices PRIMARY KEY (id),
        CONSTRAINT uq_invoices_order_id UNIQUE (order_id),
        CONSTRAINT uq_invoices_seller_number UNIQUE (seller, number),
        CONSTRAINT ck_invoices_status CHECK (status IN ('PENDING', 'ISSUED', 'FAILED')),
        CONSTRAINT ck_invoices_mail_status CHECK (mail_status IN ('PENDING', 'SENT', 'FAILED', 'NO_ADDRESS')),
        CONSTRAINT ck_invoices_issued_means_stored
            CHECK ((status = 'ISSUED') = (issued_at IS NOT NULL AND document_sha256 IS NOT NULL))
    )
    """,
    "CREATE INDEX ix_invoices_created_at_id ON invoices (created_at, id)",
    "CREATE INDEX ix_invoices_not_issued ON invoices (status, created_at, id) WHERE status <> 'ISSUED'",
    """
    CREATE TABLE invoice_snapshots (
        invoice_id UUID NOT NULL,
        snapshot JSONB NOT NULL,
        CONSTRAINT pk_invoice_snapshots PRIMARY KEY (invoice_id),
        CONSTRAINT fk_invoice_snapshots_invoice_id FOREIGN KEY (invoice_id) REFERENCES invoices (id)
    )
    """,
    """
    CREATE TRIGGER invoice_snapshots_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON invoice_snapshots
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
