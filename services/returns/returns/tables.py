"""The tables of returns, beside those that every service has (common.database.tables)."""

from common.aggregates.counts import StatusCounts
from common.database.tables import NAMING_CONVENTION, instant
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)

from returns.domain import ReturnStatus

metadata = MetaData(naming_convention=NAMING_CONVENTION)

# The name of a return in the audit trail.
ENTITY = "RETURN"

# All that must be current under the row's lock is in the row: status, version, the last event's sequence, and the head
# of the audit chain. An order has at most one return, so its sequence is that of the topic and key.
returns = Table(
    "returns",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, nullable=False, unique=True),
    Column("order_number", Text, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("customer_email", Text),
    Column("customer_name", Text),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("customer_notes", Text),
    Column("manager_notes", Text),
    Column("rejection_reason", Text),
    # No currency has more than four decimals.
    Column("refund_amount", Numeric(19, 4), nullable=False),
    Column("currency", Text, nullable=False),
    Column("payment_reference", Text, nullable=False),
    Column("refund_status", Text, nullable=False),
    Column("refund_transaction_id", Text),
    # Of the refund event from which the two columns above are: only a newer one is stored.
    Column("refund_epoch", Integer, nullable=False, server_default=text("0")),
    Column("refund_sequence", BigInteger, nullable=False, server_default=text("0")),
    instant("created_at", nullable=False),
    instant("updated_at", nullable=False),
    instant("approved_at"),
    instant("rejected_at"),
    instant("completed_at"),
    Column("version", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("audit_position", Integer, nullable=False),
    Column("audit_hash", LargeBinary, nullable=False),
    CheckConstraint(
        "status IN ('REQUESTED', 'APPROVED', 'REJECTED', 'IN_TRANSIT', 'RECEIVED', 'COMPLETED')", name="status"
    ),
    CheckConstraint(
        "rejection_reason IN ('damage_not_covered', 'policy_violation', 'outside_window', 'fraudulent')",
        name="rejection_reason",
    ),
    CheckConstraint("refund_status IN ('NONE', 'PENDING', 'SUCCEEDED', 'FAILED')", name="refund_status"),
    CheckConstraint("(refund_status <> 'NONE') = (status = 'COMPLETED')", name="refunded_once_completed"),
    CheckConstraint("refund_amount > 0", name="refund_amount_positive"),
    Index("ix_returns_newest", text("created_at DESC"), text("id DESC")),
    Index("ix_returns_status_newest", "status", text("created_at DESC"), text("id DESC")),
    Index("ix_returns_customer_id_newest", "customer_id", text("created_at DESC"), text("id DESC")),
)

# A copy of orders, from their events; (epoch, sequence) are those of the row's event.
known_orders = Table(
    "known_orders",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("order_number", Text, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("customer_email", Text),
    Column("customer_name", Text),
    Column("status", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("total_amount", Numeric(19, 4), nullable=False),
    Column("captured_amount", Numeric(19, 4)),
    Column("payment_reference", Text),
    instant("delivered_at"),
    Column("epoch", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    # An event that violates it is stored as poison.
    CheckConstraint(
        "status <> 'DELIVERED' OR (delivered_at IS NOT NULL AND payment_reference IS NOT NULL)",
        name="delivered_means_paid",
    ),
)

return_counts = StatusCounts("return", ReturnStatus, metadata)
