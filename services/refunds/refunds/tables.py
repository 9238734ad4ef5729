"""The tables of refunds, in addition to those that every service has (common.database.tables)."""

import sqlalchemy as sa
from common.aggregates.counts import StatusCounts
from common.database.tables import NAMING_CONVENTION, instant

from refunds.domain.refund import RefundStatus

# The name of a refund in the audit trail.
ENTITY = "REFUND"

metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)

# Rows are never purged: the unique business key prevents a second refund, long after the inbox row of the event was
# purged.
refunds = sa.Table(
    "refunds",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("business_key", sa.Text, nullable=False, unique=True),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("return_id", sa.Uuid, index=True),
    sa.Column("amount", sa.Numeric(19, 4), nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("payment_reference", sa.Text, nullable=False),
    sa.Column("customer_email", sa.Text),
    sa.Column("customer_name", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    # The gateway's id of the refund, which cannot belong to two refunds.
    sa.Column("transaction_id", sa.Text, unique=True),
    sa.Column("error", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("key_epoch", sa.Integer, nullable=False),
    sa.Column("key_spent", sa.Boolean, nullable=False),
    instant("created_at", nullable=False),
    instant("completed_at"),
    # The head of the refund's audit chain, moved under the row's lock.
    sa.Column("audit_position", sa.Integer, nullable=False),
    sa.Column("audit_hash", sa.LargeBinary, nullable=False),
    sa.CheckConstraint(
        "cause IN ('RETURN_COMPLETED', 'ORDER_CANCELLED', 'LATE_PAYMENT', 'SURPLUS_PAYMENT')", name="cause"
    ),
    sa.CheckConstraint("(cause = 'RETURN_COMPLETED') = (return_id IS NOT NULL)", name="return_of_cause"),
    sa.CheckConstraint("status IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="status"),
    sa.CheckConstraint(
        "(status = 'SUCCEEDED') = (transaction_id IS NOT NULL) AND (status = 'SUCCEEDED') = (completed_at IS NOT NULL)",
        name="succeeded_means_made",
    ),
    sa.CheckConstraint("amount > 0", name="amount_positive"),
    # A payment is refunded once, for whatever cause.
    sa.UniqueConstraint("order_id", "payment_reference"),
    sa.Index("ix_refunds_newest", sa.text("created_at DESC"), sa.text("id DESC")),
    # Nearly all refunds have succeeded: an index of the few others.
    sa.Index(
        "ix_refunds_not_succeeded",
        "status",
        sa.text("created_at DESC"),
        sa.text("id DESC"),
        postgresql_where=sa.text("status <> 'SUCCEEDED'"),
    ),
)

# The ids of payments that were reported without one at first. A request for a refund may have the first reference, and
# may be consumed before or after the id is known.
identified_payments = sa.Table(
    "identified_payments",
    metadata,
    sa.Column("order_id", sa.Uuid, primary_key=True),
    sa.Column("first_reference", sa.Text, primary_key=True),
    sa.Column("reference", sa.Text, nullable=False),
)

refund_counts = StatusCounts("refund", RefundStatus, metadata)
