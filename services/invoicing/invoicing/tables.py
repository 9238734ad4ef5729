"""The tables of invoicing, in addition to the common ones: invoices, their snapshots and their numbering series."""

import sqlalchemy as sa
from common.database.tables import APPEND_ONLY, NAMING_CONVENTION, instant
from sqlalchemy.dialects.postgresql import JSONB

# The name of an invoice in the audit trail.
ENTITY = "INVOICE"

metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)

# The last number of each series. Its row is locked while numbers are taken: numbers are committed in their order, and a
# transaction that is rolled back leaves no gap. `last_at` keeps invoice dates in the order of the numbers.
number_series = sa.Table(
    "number_series",
    metadata,
    sa.Column("seller", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("year", sa.SmallInteger, primary_key=True),
    sa.Column("last_position", sa.Integer, nullable=False),
    instant("last_at", nullable=False),
)

invoices = sa.Table(
    "invoices",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    # Unique for ever: an order has one invoice, however often its event is consumed.
    sa.Column("order_id", sa.Uuid, nullable=False, unique=True),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("seller", sa.Text, nullable=False),
    sa.Column("number", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("net_amount", sa.Numeric(19, 4), nullable=False),
    sa.Column("tax_amount", sa.Numeric(19, 4), nullable=False),
    sa.Column("total_amount", sa.Numeric(19, 4), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("mail_status", sa.Text, nullable=False),
    sa.Column("document_sha256", sa.Text),
    sa.Column("document_size_bytes", sa.BigInteger),
    sa.Column("failed_step", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("attempts", sa.Integer),
    instant("created_at", nullable=False),
    instant("issued_at"),
    # The head of the invoice's audit chain, moved under the row's lock.
    sa.Column("audit_position", sa.Integer, nullable=False),
    sa.Column("audit_hash", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("seller", "number"),
    sa.CheckConstraint("status IN ('PENDING', 'ISSUED', 'FAILED')", name="status"),
    sa.CheckConstraint("mail_status IN ('PENDING', 'SENT', 'FAILED', 'NO_ADDRESS')", name="mail_status"),
    sa.CheckConstraint(
        "(status = 'ISSUED') = (issued_at IS NOT NULL AND document_sha256 IS NOT NULL)", name="issued_means_stored"
    ),
    sa.Index("ix_invoices_created_at_id", "created_at", "id"),
    # Nearly all invoices are issued: an index to find and count the few others.
    sa.Index("ix_invoices_not_issued", "status", "created_at", "id", postgresql_where=sa.text("status <> 'ISSUED'")),
)

# Append-only: the data of a rendered invoice can never be changed.
invoice_snapshots = sa.Table(
    "invoice_snapshots",
    metadata,
    sa.Column("invoice_id", sa.Uuid, sa.ForeignKey("invoices.id"), primary_key=True),
    sa.Column("snapshot", JSONB, nullable=False),
    info=APPEND_ONLY,
)
