"""Statements of the checks: refunds without a job, and refunds by what they are of (ADR 40)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from common.database.statements import Connection, Statement, prepare
from common.database.tables import jobs
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    Integer,
    Interval,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    text,
)

from refunds.domain.book import PAID, Account
from refunds.domain.refund import Refund, RefundStatus
from refunds.repository.open_refunds import is_open
from refunds.repository.rows import identified_reference, to_refund
from refunds.tables import book_payments, payment_disputes, postings, refunds

REFUND_WITHOUT_JOB = "refund_without_job"
# A dead job is known to the operators. After one was discarded, the money is still owed.
_has_job = exists().where(
    jobs.c.kind == bindparam("kind", type_=Text),
    jobs.c.business_key == refunds.c.business_key,
    jobs.c.state.not_in([literal(each, literal_execute=True) for each in ("done", "discarded")]),
)
_subject = (
    cast(refunds.c.id, Text).label("subject"),
    cast(refunds.c.order_id, Text).label("key"),
    refunds.c.id.label("refund_id"),
    refunds.c.status,
    refunds.c.business_key,
    refunds.c.amount,
    refunds.c.currency,
)
find_without_job = prepare(
    select(*_subject)
    .where(
        is_open,
        refunds.c.created_at < func.now() - bindparam("limit", type_=Interval),
        ~_has_job,
    )
    .order_by(refunds.c.created_at)
    .limit(bindparam("most", type_=Integer))
)


def _long_in(*statuses: RefundStatus, also: Sequence[ColumnElement[bool]] = ()) -> Statement:
    return prepare(
        select(*_subject, refunds.c.error, refunds.c.called_at)
        .where(
            refunds.c.status != literal(RefundStatus.SUCCEEDED.value, literal_execute=True),
            refunds.c.status.in_([literal(each.value, literal_execute=True) for each in statuses]),
            func.coalesce(refunds.c.called_at, refunds.c.created_at) < func.now() - bindparam("limit", type_=Interval),
            *also,
        )
        .order_by(refunds.c.created_at)
        .limit(bindparam("most", type_=Integer))
    )


# A refund stays CALLING when its worker has ended during the call, and no look-up has been answered since.
find_long_unknown = _long_in(RefundStatus.UNKNOWN, RefundStatus.CALLING)
find_long_pending = _long_in(RefundStatus.PENDING)
_limit = bindparam("limit", type_=Interval)
# Where a look-up is not answered either, the refund is long unknown, and named as that.
find_long_unreached = prepare(
    select(*_subject, refunds.c.error, refunds.c.unreached_since)
    .where(
        refunds.c.status.in_([literal(each, literal_execute=True) for each in ("READY", "CALLING", "UNKNOWN")]),
        refunds.c.unreached_since < func.now() - _limit,
        or_(refunds.c.status == "READY", refunds.c.called_at >= func.now() - _limit),
    )
    .order_by(refunds.c.unreached_since)
    .limit(bindparam("most", type_=Integer))
)
# The end of a dispute ends the waiting for it. For any other reason, a refund waits for people.
find_held = _long_in(
    RefundStatus.HELD,
    also=[
        ~exists().where(
            payment_disputes.c.payment_reference == refunds.c.payment_reference,
            payment_disputes.c.status == literal("OPENED", literal_execute=True),
        )
    ],
)
# What the bank has paid to the customer is not owed; of a smaller amount, the rest still is.
_paid_by_the_bank = (
    select(func.coalesce(func.sum(payment_disputes.c.amount), 0))
    .where(
        payment_disputes.c.payment_reference.in_([refunds.c.payment_reference, identified_reference]),
        payment_disputes.c.status == literal("LOST", literal_execute=True),
    )
    .correlate(refunds)
    .scalar_subquery()
)
# Not among those without a job: the repair of that check would call the provider about a refund that has ended. A
# refund that the provider took back has no job left, whatever became of the one that made it.
find_owed = _long_in(
    RefundStatus.DECLINED,
    RefundStatus.FAILED,
    RefundStatus.REVERSED,
    also=[
        or_(refunds.c.status == literal(RefundStatus.REVERSED.value, literal_execute=True), ~_has_job),
        _paid_by_the_bank < refunds.c.amount,
    ],
)
_return_id = bindparam("return_id", type_=Uuid)
_reference = bindparam("reference", type_=Text)
_OF_PAYMENT_OR_RETURN = prepare(
    select(*refunds.c, identified_reference).where(
        refunds.c.order_id == bindparam("order_id", type_=Uuid),
        or_(
            refunds.c.return_id == _return_id,
            refunds.c.payment_reference == _reference,
            identified_reference == _reference,
        ),
    )
)
_later = postings.alias("later")
_stands = ~exists().where(_later.c.subject == postings.c.subject, _later.c.number > postings.c.number)


def _booked(*accounts: Account) -> Select[Any]:
    return (
        select(
            postings.c.position,
            postings.c.transaction_id,
            postings.c.amount,
            book_payments.c.reference,
            book_payments.c.order_id,
        )
        .join(book_payments, book_payments.c.id == postings.c.payment_id)
        .where(
            postings.c.target.in_([literal(each.value, literal_execute=True) for each in accounts]),
            _stands,
            postings.c.transaction_id.is_not(None),
        )
    )


_PAID_BY_PROVIDER = (Account.PAID_BACK, Account.PAID_ELSEWHERE)
_is_given = postings.c.transaction_id == any_(bindparam("transaction_ids", type_=ARRAY(Text)))
# An operator may settle a refund with the id of one that was made by hand at the provider, before its event comes.
_BOOKED = prepare(_booked(*PAID).where(_is_given))
# What was settled in another way, such as by a bank transfer, is not in the provider's books.
_BOOKED_BY_PROVIDER = prepare(_booked(*_PAID_BY_PROVIDER).where(_is_given))
_BOOKED_AFTER = prepare(
    _booked(*_PAID_BY_PROVIDER)
    .where(
        postings.c.position > bindparam("after", type_=BigInteger),
        postings.c.created_at.between(
            bindparam("since", type_=DateTime(timezone=True)), bindparam("until", type_=DateTime(timezone=True))
        ),
    )
    .order_by(postings.c.position)
    .limit(bindparam("most", type_=Integer))
)
_OPEN_DIFFERENCES = prepare(
    text(
        """
        SELECT subject, details ->> 'payment_reference' AS payment_reference FROM discrepancies
        WHERE "check" = CAST(:check_name AS text) AND resolved_at IS NULL AND details ? 'payment_reference'
        """
    )
)
_START = prepare(select(func.coalesce(func.max(postings.c.position), 0) - bindparam("back", type_=BigInteger)))


@dataclass(frozen=True, slots=True)
class Booked:
    """What the book says that was paid back, and was not taken back. `reference` is the payment's."""

    position: int
    transaction_id: str
    amount: Decimal
    reference: str
    order_id: UUID


async def booked(connection: Connection, transaction_ids: Iterable[str]) -> dict[str, Booked]:
    """By transaction id, those of the given ones that are paid back according to the book, by whomever."""
    rows = await _BOOKED.fetch_all(connection, transaction_ids=list(transaction_ids))
    return {row["transaction_id"]: Booked(**row) for row in rows}


async def booked_by_provider(connection: Connection, transaction_ids: Iterable[str]) -> list[Booked]:
    """Those of the given ones that the provider has paid back according to the book."""
    rows = await _BOOKED_BY_PROVIDER.fetch_all(connection, transaction_ids=list(transaction_ids))
    return [Booked(**row) for row in rows]


async def booked_after(
    connection: Connection, position: int, since: datetime, until: datetime, most: int
) -> list[Booked]:
    """What the provider has paid back by what was booked after a position, and in this time, in its order."""
    rows = await _BOOKED_AFTER.fetch_all(connection, after=position, since=since, until=until, most=most)
    return [Booked(**row) for row in rows]


async def open_differences(connection: Connection, check: str) -> dict[str, str]:
    """The open discrepancies of the comparison with the ledger: the payment's reference, by the refund's id."""
    rows = await _OPEN_DIFFERENCES.fetch_all(connection, check_name=check)
    return {row["subject"]: row["payment_reference"] for row in rows}


async def position_back(connection: Connection, entries: int) -> int:
    """The position so many entries before the last one."""
    position: int = await _START.fetch_value(connection, back=entries)
    return position


async def find_of(
    connection: Connection, order_id: UUID, *, return_id: UUID | None = None, reference: str | None = None
) -> list[Refund]:
    """The refunds of an order's return, or of one of its payments."""
    rows = await _OF_PAYMENT_OR_RETURN.fetch_all(
        connection, order_id=order_id, return_id=return_id, reference=reference
    )
    return [to_refund(row) for row in rows]
