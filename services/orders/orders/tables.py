"""The tables of orders, in addition to those that every service has (common.database.tables)."""

from typing import Any

import sqlalchemy as sa
from common.aggregates.counts import StatusCounts
from common.aggregates.event_counter import EventCounter
from common.aggregates.notes import Notes
from common.database.tables import NAMING_CONVENTION, instant
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from orders.domain.states import OrderStatus

metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)

# The name of an order in the audit trail.
ENTITY = "ORDER"
# Unique: of an owner, no two orders have one external id.
EXTERNAL_ID_INDEX = "uq_orders_external_id"

# Order numbers may have gaps: a placement that fails uses one.
order_numbers = sa.Sequence("order_numbers", metadata=metadata)


def amount(name: str, **options: Any) -> sa.Column[Any]:
    """Money; no currency has more than four decimals."""
    return sa.Column(name, sa.Numeric(19, 4), **options)


# All that must be current under the row's lock is in the row: status, version, the last event's sequence, and the head
# of the audit chain. A sub-select in the locking statement would see the rows as of before it waited.
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("order_number", sa.Text, nullable=False, unique=True),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("customer_email", sa.Text),
    sa.Column("customer_name", sa.Text),
    sa.Column("buyer_vat_id", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    amount("net_amount", nullable=False),
    amount("tax_amount", nullable=False),
    amount("total_amount", nullable=False),
    amount("captured_amount"),
    sa.Column("payment_method", sa.Text, nullable=False),
    sa.Column("payment_transaction_id", sa.Text),
    sa.Column("shipping_address", JSONB, nullable=False),
    sa.Column("billing_address", JSONB, nullable=False),
    sa.Column("tracking_number", sa.Text),
    sa.Column("carrier", sa.Text),
    sa.Column("cancellation_reason", sa.Text),
    sa.Column("refund_status", sa.Text, nullable=False),
    sa.Column("refund_transaction_id", sa.Text),
    instant("created_at", nullable=False),
    instant("updated_at", nullable=False),
    instant("paid_at"),
    instant("shipped_at"),
    instant("delivered_at"),
    instant("cancelled_at"),
    # The client's own id of the order. Its owner is the customer, or a caller who acts for many (ADR 25).
    sa.Column("external_id", sa.Text),
    sa.Column("external_id_owner", sa.Uuid),
    sa.Column("metadata", JSONB),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("audit_position", sa.Integer, nullable=False),
    sa.Column("audit_hash", sa.LargeBinary, nullable=False),
    sa.CheckConstraint(
        "status IN ('PENDING_PAYMENT', 'PAID', 'PROCESSING_IN_WAREHOUSE', 'SHIPPED', 'DELIVERED', 'CANCELLED')",
        name="status",
    ),
    sa.CheckConstraint(
        "refund_status IN ('NONE', 'PENDING', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'REVERSED')", name="refund_status"
    ),
    sa.CheckConstraint("total_amount > 0", name="total_amount_positive"),
    # By id first, as staff searches without an owner. Orders without an external id have no entry.
    sa.Index(
        EXTERNAL_ID_INDEX,
        "external_id",
        "external_id_owner",
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    ),
    sa.Index("ix_orders_newest", sa.text("created_at DESC"), sa.text("id DESC")),
    sa.Index("ix_orders_status_newest", "status", sa.text("created_at DESC"), sa.text("id DESC")),
    sa.Index("ix_orders_customer_id_newest", "customer_id", sa.text("created_at DESC"), sa.text("id DESC")),
    sa.Index("ix_orders_updated_at", "updated_at", "id"),
    sa.Index("ix_orders_total_amount", "total_amount", "id", postgresql_include=["created_at"]),
    sa.Index("ix_orders_tracking_number", "tracking_number", postgresql_where=sa.text("tracking_number IS NOT NULL")),
)

# Lines never change once the order is placed.
order_lines = sa.Table(
    "order_lines",
    metadata,
    sa.Column("order_id", sa.Uuid, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("position", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Uuid, nullable=False),
    sa.Column("product_id", sa.Uuid, nullable=False),
    sa.Column("product_name", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    amount("unit_price", nullable=False),
    sa.Column("tax_rate", sa.Numeric(5, 2), nullable=False),
    amount("subtotal", nullable=False),
    sa.CheckConstraint("quantity > 0", name="quantity_positive"),
)

# Every payment that was reported for an order, and the result of its refund (from the refund's newest event, by epoch
# and sequence); the refund's columns are null until something is known of a refund. A payment that is not late, surplus
# or mismatched is the captured one. `first_reference` is derived from the order, for a payment whose id came later.
payments = sa.Table(
    "payments",
    metadata,
    sa.Column("order_id", sa.Uuid, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("reference", sa.Text, primary_key=True),
    amount("amount", nullable=False),
    sa.Column("late", sa.Boolean, nullable=False),
    sa.Column("surplus", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("mismatched", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("first_reference", sa.Text),
    instant("reported_at", nullable=False),
    sa.Column("refund_status", sa.Text),
    sa.Column("refund_transaction_id", sa.Text),
    sa.Column("refund_epoch", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("refund_sequence", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.CheckConstraint("refund_status IN ('PROCESSING', 'SUCCEEDED', 'FAILED', 'REVERSED')", name="refund_status"),
    sa.CheckConstraint(
        "CAST(late AS INTEGER) + CAST(surplus AS INTEGER) + CAST(mismatched AS INTEGER) <= 1", name="one_kind"
    ),
    sa.Index("ix_payments_reference", "reference"),
    sa.Index("ix_payments_first_reference", "first_reference", postgresql_where=sa.text("first_reference IS NOT NULL")),
)

# A copy of the order's invoice, from events of invoicing; (epoch, sequence) are the event's: a newer one replaces it.
order_invoices = sa.Table(
    "order_invoices",
    metadata,
    sa.Column("order_id", sa.Uuid, primary_key=True),
    sa.Column("invoice_id", sa.Uuid, nullable=False),
    sa.Column("invoice_number", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    amount("total_amount", nullable=False),
    instant("issued_at", nullable=False),
    sa.Column("document", JSONB, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)

order_notes = Notes("order", "orders", metadata)

# The words by which an order is found: its number, and the customer's name and e-mail. A trigger writes them.
order_search = sa.Table(
    "order_search",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("terms", TSVECTOR, nullable=False),
    sa.Index("ix_order_search_terms", "terms", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
)

order_counts = StatusCounts("order", OrderStatus, metadata)
order_events = EventCounter(orders.c.id)
