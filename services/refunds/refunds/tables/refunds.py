"""The tables of refunds and of the calls about them."""

import sqlalchemy as sa
from common.aggregates.counts import StatusCounts
from common.database.tables import APPEND_ONLY, instant

from refunds.domain.refund import RefundStatus
from refunds.tables.schema import metadata

# The name of a refund in the audit trail.
ENTITY = "REFUND"

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
    instant("called_at"),
    sa.Column("last_answer", sa.Text),
    sa.Column("reported", sa.Text),
    sa.Column("settled_by_hand", sa.Boolean, nullable=False, server_default=sa.text("false")),
    # The first of the latest calls in a row that the gateway did not answer.
    instant("unreached_since"),
    # The head of the refund's audit chain, moved under the row's lock.
    sa.Column("audit_position", sa.Integer, nullable=False),
    sa.Column("audit_hash", sa.LargeBinary, nullable=False),
    sa.CheckConstraint(
        "cause IN ('RETURN_COMPLETED', 'ORDER_CANCELLED', 'LATE_PAYMENT', 'SURPLUS_PAYMENT', 'OPERATOR')", name="cause"
    ),
    sa.CheckConstraint("(cause = 'RETURN_COMPLETED') = (return_id IS NOT NULL)", name="return_of_cause"),
    sa.CheckConstraint(
        "status IN ('READY', 'CALLING', 'UNKNOWN', 'PENDING', 'SUCCEEDED', 'DECLINED', 'FAILED', 'HELD', 'REVERSED')",
        name="status",
    ),
    sa.CheckConstraint(
        "(status IN ('SUCCEEDED', 'REVERSED')) = (completed_at IS NOT NULL)"
        " AND (status NOT IN ('SUCCEEDED', 'REVERSED') OR transaction_id IS NOT NULL)",
        name="succeeded_means_made",
    ),
    sa.CheckConstraint("amount > 0", name="amount_positive"),
    # A payment is refunded once, for whatever cause; operators may refund it in parts, as far as the book permits.
    sa.Index(
        "uq_refunds_automatic",
        "order_id",
        "payment_reference",
        unique=True,
        postgresql_where=sa.text("cause <> 'OPERATOR'"),
    ),
    sa.Index("ix_refunds_order_id", "order_id"),
    # Events of the provider name the payment.
    sa.Index("ix_refunds_payment_reference", "payment_reference"),
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

# The calls about a refund to the payment gateway, each written before it is made: `kind` is REFUND or LOOK_UP. The hash
# is that of the request (repository/calls.py).
refund_calls = sa.Table(
    "refund_calls",
    metadata,
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("refund_id", sa.Uuid, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("idempotency_key", sa.Text, nullable=False),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    instant("started_at", nullable=False, server_default=sa.func.clock_timestamp()),
    sa.CheckConstraint("kind IN ('REFUND', 'LOOK_UP')", name="kind"),
    info=APPEND_ONLY,
)

# Their answers. A call without one was cut off: by the end of its process, or by an answer that another one overtook.
refund_call_answers = sa.Table(
    "refund_call_answers",
    metadata,
    sa.Column("call_position", sa.BigInteger, sa.ForeignKey("refund_calls.position"), primary_key=True),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("answer", sa.Text),
    instant("ended_at", nullable=False, server_default=sa.func.clock_timestamp()),
    info=APPEND_ONLY,
)

refund_counts = StatusCounts("refund", RefundStatus, metadata)
