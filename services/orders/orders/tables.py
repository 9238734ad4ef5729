"""The tables of orders, beside those that every service has (common.database.tables)."""

from typing import Any

from common.aggregates.counts import StatusCounts
from common.database.tables import NAMING_CONVENTION, instant
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from orders.domain import OrderStatus

metadata = MetaData(naming_convention=NAMING_CONVENTION)

# The name of an order in the audit trail.
ENTITY = "ORDER"

# Order numbers may have gaps: a placement that fails uses one.
order_numbers = Sequence("order_numbers", metadata=metadata)


def amount(name: str, **options: Any) -> Column[Any]:
    """Money; no currency has more than four decimals."""
    return Column(name, Numeric(19, 4), **options)


# All that must be current under the row's lock is in the row: status, version, the last event's sequence, and the head
# of the audit chain. A sub-select in the locking statement would see the rows as of before it waited.
orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_number", Text, nullable=False, unique=True),
    Column("customer_id", Uuid, nullable=False),
    Column("customer_email", Text),
    Column("customer_name", Text),
    Column("buyer_vat_id", Text),
    Column("status", Text, nullable=False),
    Column("currency", Text, nullable=False),
    amount("net_amount", nullable=False),
    amount("tax_amount", nullable=False),
    amount("total_amount", nullable=False),
    amount("captured_amount"),
    Column("payment_method", Text, nullable=False),
    Column("payment_transaction_id", Text),
    Column("shipping_address", JSONB, nullable=False),
    Column("billing_address", JSONB, nullable=False),
    Column("tracking_number", Text),
    Column("carrier", Text),
    Column("cancellation_reason", Text),
    Column("refund_status", Text, nullable=False),
    Column("refund_transaction_id", Text),
    instant("created_at", nullable=False),
    instant("updated_at", nullable=False),
    instant("paid_at"),
    instant("shipped_at"),
    instant("delivered_at"),
    instant("cancelled_at"),
    Column("version", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("audit_position", Integer, nullable=False),
    Column("audit_hash", LargeBinary, nullable=False),
    CheckConstraint(
        "status IN ('PENDING_PAYMENT', 'PAID', 'PROCESSING_IN_WAREHOUSE', 'SHIPPED', 'DELIVERED', 'CANCELLED')",
        name="status",
    ),
    CheckConstraint("refund_status IN ('NONE', 'PENDING', 'SUCCEEDED', 'FAILED')", name="refund_status"),
    CheckConstraint("total_amount > 0", name="total_amount_positive"),
    Index("ix_orders_newest", text("created_at DESC"), text("id DESC")),
    Index("ix_orders_status_newest", "status", text("created_at DESC"), text("id DESC")),
    Index("ix_orders_customer_id_newest", "customer_id", text("created_at DESC"), text("id DESC")),
)

# Lines never change once the order is placed.
order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", Uuid, ForeignKey("orders.id"), primary_key=True),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    Column("id", Uuid, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("product_name", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    amount("unit_price", nullable=False),
    Column("tax_rate", Numeric(5, 2), nullable=False),
    amount("subtotal", nullable=False),
    CheckConstraint("quantity > 0", name="quantity_positive"),
)

# Every payment that was reported for an order, and the result of its refund (from the refund's newest event, by epoch
# and sequence); the refund's columns are null until a refund has succeeded or failed. A payment that is neither late
# nor surplus is the captured one. `first_reference` is derived from the order, for a payment whose id came later.
payments = Table(
    "payments",
    metadata,
    Column("order_id", Uuid, ForeignKey("orders.id"), primary_key=True),
    Column("reference", Text, primary_key=True),
    amount("amount", nullable=False),
    Column("late", Boolean, nullable=False),
    Column("surplus", Boolean, nullable=False, server_default=text("false")),
    Column("first_reference", Text),
    instant("reported_at", nullable=False),
    Column("refund_status", Text),
    Column("refund_transaction_id", Text),
    Column("refund_epoch", Integer, nullable=False, server_default=text("0")),
    Column("refund_sequence", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("refund_status IN ('SUCCEEDED', 'FAILED')", name="refund_status"),
    CheckConstraint("NOT (late AND surplus)", name="one_kind"),
)

# A copy of the order's invoice, from events of invoicing; (epoch, sequence) are the event's: a newer one replaces it.
order_invoices = Table(
    "order_invoices",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("invoice_id", Uuid, nullable=False),
    Column("invoice_number", Text, nullable=False),
    Column("currency", Text, nullable=False),
    amount("total_amount", nullable=False),
    instant("issued_at", nullable=False),
    Column("document", JSONB, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)

order_counts = StatusCounts("order", OrderStatus, metadata)
