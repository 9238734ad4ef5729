"""The trial balance: each account by its postings and by its balances, read in one statement and so at one instant."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from common.database.statements import Connection, Record, Statement, prepare

from refunds.domain.book import Account
from refunds.tables import book_disagreements, book_payments, postings

# Of all postings since the first one. A check of the reconciler may take five minutes.
LONGEST_READING_SECONDS = 240

_ORDER_ID = sa.bindparam("order_id", type_=sa.Uuid)
_of_order = book_payments.c.order_id == _ORDER_ID
_zero: sa.ColumnClause[Decimal] = sa.literal_column("CAST(0 AS NUMERIC)")


def _accounts(*conditions: sa.ColumnElement[bool]) -> Statement:
    """Of each currency and account: its debits and credits in the postings, and what the payments' balances add up to,
    which the trigger keeps. Each table is read once."""
    moved = (
        sa.select(
            book_payments.c.currency,
            postings.c.source,
            postings.c.target,
            sa.func.sum(postings.c.amount).label("amount"),
        )
        .select_from(book_payments.join(postings, postings.c.payment_id == book_payments.c.id))
        .where(*conditions)
        .group_by(book_payments.c.currency, postings.c.source, postings.c.target)
        .cte("moved")
    )
    moves = sa.union_all(
        sa.select(
            moved.c.currency, moved.c.target.label("account"), moved.c.amount.label("debit"), _zero.label("credit")
        ),
        sa.select(moved.c.currency, moved.c.source, _zero, moved.c.amount),
    ).subquery("moves")
    posted = (
        sa.select(
            moves.c.currency,
            moves.c.account,
            sa.func.sum(moves.c.debit).label("debits"),
            sa.func.sum(moves.c.credit).label("credits"),
        )
        .group_by(moves.c.currency, moves.c.account)
        .subquery("posted")
    )
    balances: dict[Account, sa.ColumnElement[Decimal]] = {
        account: -book_payments.c.captured if account is Account.PAYMENT else book_payments.c[account]
        for account in Account
    }
    totals = (
        sa.select(
            book_payments.c.currency,
            *(sa.func.sum(balance).label(str(account)) for account, balance in balances.items()),
        )
        .where(*conditions)
        .group_by(book_payments.c.currency)
        .cte("totals")
    )
    sums = sa.union_all(
        *(
            sa.select(
                totals.c.currency,
                sa.literal(str(account), literal_execute=True).label("account"),
                totals.c[account].label("balance"),
            )
            for account in Account
        )
    ).subquery("sums")
    same = sa.and_(posted.c.currency == sums.c.currency, posted.c.account == sums.c.account)
    return prepare(
        sa.select(
            sums.c.currency,
            sums.c.account,
            sa.func.coalesce(posted.c.debits, 0).label("debits"),
            sa.func.coalesce(posted.c.credits, 0).label("credits"),
            sums.c.balance,
        )
        .select_from(sums.outerjoin(posted, same))
        .order_by(sums.c.currency, sums.c.account)
    )


_ACCOUNTS = _accounts()
_ACCOUNTS_OF_ORDER = _accounts(_of_order)
_PAYMENTS = prepare(sa.select(book_payments).where(_of_order).order_by(book_payments.c.id))
_ENTRIES = prepare(
    sa.select(postings)
    .select_from(book_payments.join(postings, postings.c.payment_id == book_payments.c.id))
    .where(_of_order)
    .order_by(postings.c.position)
)
_IN_EXCESS = sa.select(sa.func.count()).select_from(book_payments).where(sa.text("excess > 0")).scalar_subquery()
_FINDINGS = prepare(
    sa.select(
        _IN_EXCESS.label("payments_in_excess"),
        sa.select(sa.func.count()).select_from(book_disagreements).scalar_subquery().label("disagreements"),
    )
)


_IN_EXCESS_NAMED = sa.select(
    sa.func.concat("payment ", book_payments.c.id).label("subject"),
    sa.cast(book_payments.c.order_id, sa.Text).label("key"),
    book_payments.c.reference,
    sa.literal_column("'paid back in excess'").label("problem"),
    sa.func.concat(sa.func.trim_scale(book_payments.c.captured), " ", book_payments.c.currency).label("booked"),
    sa.func.concat(sa.func.trim_scale(book_payments.c.excess), " ", book_payments.c.currency).label("reported"),
).where(sa.text("excess > 0"))
_DISAGREEMENTS_NAMED = sa.select(
    sa.func.concat("report ", book_disagreements.c.position),
    sa.cast(book_disagreements.c.order_id, sa.Text),
    book_disagreements.c.reference,
    book_disagreements.c.kind,
    book_disagreements.c.booked,
    book_disagreements.c.reported,
).where(book_disagreements.c.created_at > sa.func.now() - sa.bindparam("age", type_=sa.Interval))
_WRONG = prepare(
    sa.union_all(_IN_EXCESS_NAMED, _DISAGREEMENTS_NAMED)
    .order_by("subject")
    .limit(sa.bindparam("most", type_=sa.Integer))
)


async def find_wrong(connection: Connection, age: timedelta, most: int) -> Sequence[Record]:
    """Payments in excess, and disagreements that are not older than `age`, as rows of findings."""
    return await _WRONG.fetch_all(connection, age=age, most=most)


async def accounts(connection: Connection, order_id: UUID | None = None) -> Sequence[Record]:
    """`currency`, `account`, `debits`, `credits` and `balance`, of all payments or of those of one order."""
    if order_id is None:
        return await _ACCOUNTS.fetch_all(connection)
    return await _ACCOUNTS_OF_ORDER.fetch_all(connection, order_id=order_id)


async def all_accounts(connection: Connection) -> Sequence[Record]:
    """As `accounts` of all payments, however long the book is; in a transaction."""
    return await _ACCOUNTS.fetch_all_within(connection, LONGEST_READING_SECONDS)


async def payments_of(connection: Connection, order_id: UUID) -> Sequence[Record]:
    return await _PAYMENTS.fetch_all(connection, order_id=order_id)


async def entries_of(connection: Connection, order_id: UUID) -> Sequence[Record]:
    """All postings of the order's payments, oldest first."""
    return await _ENTRIES.fetch_all(connection, order_id=order_id)


async def findings(connection: Connection) -> Record:
    """How many payments the provider paid back in excess, and how many reports disagree with the book."""
    (row,) = await _FINDINGS.fetch_all(connection)
    return row
