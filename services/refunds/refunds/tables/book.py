"""The tables of the book of payments (ADR 38)."""

from decimal import Decimal

import sqlalchemy as sa
from common.database.tables import APPEND_ONLY, instant

from refunds.domain.book import Account
from refunds.tables.schema import metadata


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

# The sums of all postings up to `position`, which is the same in every row; no row while the book was not closed yet
# (ADR 47). A number, not the column's type: sums of many amounts are larger.
book_closing = sa.Table(
    "book_closing",
    metadata,
    sa.Column("currency", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("debits", sa.Numeric, nullable=False),
    sa.Column("credits", sa.Numeric, nullable=False),
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
