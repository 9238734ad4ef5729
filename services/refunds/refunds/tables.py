"""The tables of refunds, in addition to those that every service has (common.database.tables)."""

from decimal import Decimal

import sqlalchemy as sa
from common.aggregates.counts import StatusCounts
from common.database.tables import APPEND_ONLY, NAMING_CONVENTION, instant

from refunds.domain.book import Account
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
    # A payment is refunded once, for whatever cause; operators may refund it in parts, as far as the book permits.
    sa.Index(
        "uq_refunds_automatic",
        "order_id",
        "payment_reference",
        unique=True,
        postgresql_where=sa.text("cause <> 'OPERATOR'"),
    ),
    sa.Index("ix_refunds_order_id", "order_id"),
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


def _balance(name: str) -> sa.Column[Decimal]:
    return sa.Column(name, sa.Numeric(19, 4), nullable=False, server_default=sa.text("0"))


# The payments of the book with their balances, which the postings' trigger keeps, and nothing else (migration 0003,
# ADR 38). An order has one payment of kind CAPTURE. `excess`: by how much the provider paid back more than was left.
book_payments = sa.Table(
    "book_payments",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("order_id", sa.Uuid, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False, index=True),
    # Derived from the order, of a payment whose id was reported later.
    sa.Column("first_reference", sa.Text),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("order_number", sa.Text, nullable=False),
    # For a refund by an operator.
    sa.Column("customer_email", sa.Text),
    sa.Column("customer_name", sa.Text),
    *(_balance(name) for name in ("captured", *list(Account)[1:], "excess")),
    sa.UniqueConstraint("order_id", "reference"),
    sa.Index("uq_book_payments_captured", "order_id", unique=True, postgresql_where=sa.text("kind = 'CAPTURE'")),
    sa.Index("ix_book_payments_excess", "id", postgresql_where=sa.text("excess > 0")),
)

# The entries of the book, each one move between two accounts of a payment. The unique key prevents an entry that is
# booked twice; of one refund at the provider, only one posting pays it back.
postings = sa.Table(
    "postings",
    metadata,
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("payment_id", sa.BigInteger, sa.ForeignKey("book_payments.id"), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("amount", sa.Numeric(19, 4), nullable=False),
    sa.Column("transaction_id", sa.Text),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("causation_id", sa.Text),
    instant("created_at", nullable=False),
    sa.UniqueConstraint("subject", "number"),
    sa.CheckConstraint("amount > 0", name="amount_positive"),
    sa.Index("ix_postings_payment_id", "payment_id", "position"),
    sa.Index(
        "uq_postings_transaction_id",
        "transaction_id",
        unique=True,
        postgresql_where=sa.text("target IN ('paid_back', 'paid_elsewhere', 'settled')"),
    ),
    info=APPEND_ONLY,
)

# What was reported of a payment and differs from the book: for people to decide.
book_disagreements = sa.Table(
    "book_disagreements",
    metadata,
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("order_id", sa.Uuid),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("booked", sa.Text, nullable=False),
    sa.Column("reported", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    instant("created_at", nullable=False),
    sa.UniqueConstraint(
        "order_id",
        "reference",
        "kind",
        "source",
        "reported",
        name="uq_book_disagreements_reported",
        postgresql_nulls_not_distinct=True,
    ),
)

refund_counts = StatusCounts("refund", RefundStatus, metadata)
