"""The tables of invoicing, beside those that every service has: invoices, their snapshots, their numbering series."""

from common.database.tables import APPEND_ONLY, NAMING_CONVENTION, instant
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

# The name of an invoice in the audit trail.
ENTITY = "INVOICE"

metadata = MetaData(naming_convention=NAMING_CONVENTION)

# The last number of each series. Its row is locked while numbers are taken: numbers are committed in their order, and a
# transaction that is rolled back leaves no gap. `last_at` keeps invoice dates in the order of the numbers.
number_series = Table(
    "number_series",
    metadata,
    Column("seller", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("year", SmallInteger, primary_key=True),
    Column("last_position", Integer, nullable=False),
    instant("last_at", nullable=False),
)

invoices = Table(
    "invoices",
    metadata,
    Column("id", Uuid, primary_key=True),
    # Unique for ever: an order has one invoice, however often its event is consumed.
    Column("order_id", Uuid, nullable=False, unique=True),
    Column("order_number", Text, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("seller", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("net_amount", Numeric(19, 4), nullable=False),
    Column("tax_amount", Numeric(19, 4), nullable=False),
    Column("total_amount", Numeric(19, 4), nullable=False),
    Column("status", Text, nullable=False),
    Column("mail_status", Text, nullable=False),
    Column("document_sha256", Text),
    Column("document_size_bytes", BigInteger),
    Column("failed_step", Text),
    Column("error", Text),
    Column("attempts", Integer),
    instant("created_at", nullable=False),
    instant("issued_at"),
    # The head of the invoice's audit chain, moved under the row's lock.
    Column("audit_position", Integer, nullable=False),
    Column("audit_hash", LargeBinary, nullable=False),
    UniqueConstraint("seller", "number"),
    CheckConstraint("status IN ('PENDING', 'ISSUED', 'FAILED')", name="status"),
    CheckConstraint("mail_status IN ('PENDING', 'SENT', 'FAILED', 'NO_ADDRESS')", name="mail_status"),
    CheckConstraint(
        "(status = 'ISSUED') = (issued_at IS NOT NULL AND document_sha256 IS NOT NULL)", name="issued_means_stored"
    ),
    Index("ix_invoices_created_at_id", "created_at", "id"),
    # Nearly all invoices are issued: an index to find and count the few others.
    Index("ix_invoices_not_issued", "status", "created_at", "id", postgresql_where=text("status <> 'ISSUED'")),
)

# Append-only: the data of a rendered invoice can never be changed.
invoice_snapshots = Table(
    "invoice_snapshots",
    metadata,
    Column("invoice_id", Uuid, ForeignKey("invoices.id"), primary_key=True),
    Column("snapshot", JSONB, nullable=False),
    info=APPEND_ONLY,
)
