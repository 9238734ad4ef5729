"""The tables of refunds, beside those that every service has (common.database.tables)."""

from common.aggregates.counts import StatusCounts
from common.database.tables import NAMING_CONVENTION, instant
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from refunds.domain import RefundStatus

# The name of a refund in the audit trail.
ENTITY = "REFUND"

metadata = MetaData(naming_convention=NAMING_CONVENTION)

# Rows are never purged: the unique business key prevents a second refund, long after the inbox row of the event was
# purged.
refunds = Table(
    "refunds",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("business_key", Text, nullable=False, unique=True),
    Column("cause", Text, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("order_number", Text, nullable=False),
    Column("return_id", Uuid, index=True),
    Column("amount", Numeric(19, 4), nullable=False),
    Column("currency", Text, nullable=False),
    Column("payment_reference", Text, nullable=False),
    Column("customer_email", Text),
    Column("customer_name", Text),
    Column("status", Text, nullable=False),
    # The gateway's id of the refund, which cannot belong to two refunds.
    Column("transaction_id", Text, unique=True),
    Column("error", Text),
    Column("attempts", Integer, nullable=False),
    Column("key_epoch", Integer, nullable=False),
    Column("key_spent", Boolean, nullable=False),
    instant("created_at", nullable=False),
    instant("completed_at"),
    # The head of the refund's audit chain, moved under the row's lock.
    Column("audit_position", Integer, nullable=False),
    Column("audit_hash", LargeBinary, nullable=False),
    CheckConstraint(
        "cause IN ('RETURN_COMPLETED', 'ORDER_CANCELLED', 'LATE_PAYMENT', 'SURPLUS_PAYMENT')", name="cause"
    ),
    CheckConstraint("(cause = 'RETURN_COMPLETED') = (return_id IS NOT NULL)", name="return_of_cause"),
    CheckConstraint("status IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="status"),
    CheckConstraint(
        "(status = 'SUCCEEDED') = (transaction_id IS NOT NULL) AND (status = 'SUCCEEDED') = (completed_at IS NOT NULL)",
        name="succeeded_means_made",
    ),
    CheckConstraint("amount > 0", name="amount_positive"),
    # A payment is refunded once, for whatever cause.
    UniqueConstraint("order_id", "payment_reference"),
    Index("ix_refunds_newest", text("created_at DESC"), text("id DESC")),
    # Nearly all refunds have succeeded: an index of the few others.
    Index(
        "ix_refunds_not_succeeded",
        "status",
        text("created_at DESC"),
        text("id DESC"),
        postgresql_where=text("status <> 'SUCCEEDED'"),
    ),
)

# The ids of payments that were reported without one at first. A request for a refund may have the first reference, and
# may be consumed before or after the id is known.
identified_payments = Table(
    "identified_payments",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("first_reference", Text, primary_key=True),
    Column("reference", Text, nullable=False),
)

refund_counts = StatusCounts("refund", RefundStatus, metadata)
