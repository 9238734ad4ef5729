"""The book in PostgreSQL: an entry is one statement, which locks its payment and says whether it posted (ADR 38)."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from common.audit.actor import Actor
from common.database.statements import Connection, Statement, prepare
from common.money import quantize
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.selectable import LateralFromClause

from refunds.domain.book import MOVES, PAID, Account, EntryKind, Move
from refunds.tables import book_payments, postings

_AMOUNT = postings.c.amount.type
# Of a standing.
_AMOUNTS = ("refundable", "amount", "left", "elsewhere", "under_id")
_REFUNDABLE = sa.literal(str(Account.REFUNDABLE), literal_execute=True)
_left = (book_payments.c.refundable + book_payments.c.in_flight + book_payments.c.disputed).label("left")


@dataclass(frozen=True, slots=True)
class Entry:
    """The next entry of a subject, such as a refund. Its payment is found by `reference`, and by `order_id` if that is
    known. `is_captured`: the payment is the captured one of the order, and the reference is ignored."""

    kind: EntryKind
    subject: str
    amount: Decimal
    currency: str
    reference: str
    order_id: UUID | None = None
    is_captured: bool = False
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Why an entry was not posted: what is refundable of its payment, the account that the last entry of its subject
    debited (`place`, None without entries) with its amount, and whether a posting to an account of `PAID` has its
    transaction id.

    `left`: what neither the customer nor the bank has got back of the payment, also where it is in flight or disputed;
    negative with an excess. `elsewhere`: what refunds made by hand have paid of it. `under_id`: what another subject
    has paid under the transaction id.
    """

    refundable: Decimal
    currency: str
    place: Account | None
    is_paid: bool
    amount: Decimal
    left: Decimal
    elsewhere: Decimal
    under_id: Decimal


def _text(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=sa.Text)


def _among(column: sa.ColumnElement[Any], accounts: tuple[Account, ...]) -> sa.ColumnElement[bool]:
    return column.in_([sa.literal(str(each), literal_execute=True) for each in accounts])


def _payment(*, of_order: bool) -> sa.Select[Any]:
    """The query for the payment of an entry. One payment can pay several orders, and each has a row. Without an order,
    the row that has entries of this subject is preferred, then one of which enough is refundable."""
    columns = (
        book_payments.c.id,
        book_payments.c.refundable,
        book_payments.c.currency,
        book_payments.c.paid_elsewhere,
        _left,
    )
    reference = _text("reference")
    is_named = sa.or_(book_payments.c.reference == reference, book_payments.c.first_reference == reference)
    if of_order:
        captured = (book_payments.c.kind == "CAPTURE") & sa.bindparam("is_captured", type_=sa.Boolean)
        of_that_order = book_payments.c.order_id == sa.bindparam("order_id", type_=sa.Uuid)
        query = sa.select(*columns).where(of_that_order, sa.or_(captured, is_named))
        return query.order_by(captured.desc(), book_payments.c.id).limit(1)
    is_known = sa.exists().where(postings.c.payment_id == book_payments.c.id, postings.c.subject == _text("subject"))
    has_enough = book_payments.c.refundable >= sa.bindparam("amount", type_=_AMOUNT)
    query = sa.select(*columns).where(book_payments.c.reference == reference)
    return query.order_by(is_known.desc(), has_enough.desc(), book_payments.c.id).limit(1)


def _payment_of_subject() -> sa.Select[Any]:
    last = sa.select(postings.c.payment_id).where(postings.c.subject == _text("subject"))
    of_last = last.order_by(postings.c.number.desc()).limit(1).scalar_subquery()
    return sa.select(book_payments.c.id, book_payments.c.refundable).where(book_payments.c.id == of_last)


def _last() -> LateralFromClause:
    """The subject's last entry."""
    query = sa.select(postings.c.number, postings.c.target, postings.c.amount).where(
        postings.c.subject == _text("subject")
    )
    return query.order_by(postings.c.number.desc()).limit(1).lateral("last")


def _is_paid() -> sa.ColumnElement[bool]:
    paid = postings.alias("paid")
    return sa.exists().where(paid.c.transaction_id == _text("transaction_id"), _among(paid.c.target, PAID))


def _paid_under_id() -> sa.ColumnElement[Any]:
    """What another subject has paid under the transaction id, and was not taken back."""
    paid, later = postings.alias("paid_under"), postings.alias("later")
    stands = ~sa.exists().where(later.c.subject == paid.c.subject, later.c.number > paid.c.number)
    is_of_another = (paid.c.transaction_id == _text("transaction_id")) & (paid.c.subject != _text("subject"))
    query = sa.select(sa.func.coalesce(sa.func.sum(paid.c.amount), 0)).where(is_of_another, _among(paid.c.target, PAID))
    return query.where(stands).scalar_subquery()


def _posting(kind: EntryKind, move: Move, *, of_order: bool) -> Statement:
    """The statement that posts an entry. It locks the payment, and then posts only if the source account is allowed and
    has enough."""
    found = _payment_of_subject() if move.follows else _payment(of_order=of_order)
    payment, last = found.with_for_update().subquery("payment"), _last()
    source = sa.func.coalesce(last.c.target, _REFUNDABLE)
    amount = last.c.amount if move.follows else sa.bindparam("amount", type_=_AMOUNT)
    conditions = [_among(source, move.sources)]
    if move.opens:
        conditions.append(last.c.number.is_(None))
    if move.is_decision:
        is_possible = sa.or_(source != _REFUNDABLE, payment.c.refundable >= amount)
        if kind is EntryKind.REFUND_RESERVED:  # of a refund that the provider has accepted already: a fact
            is_possible = sa.or_(is_possible, _text("transaction_id").is_not(None))
        conditions.append(is_possible)
    if move.target in PAID:
        conditions.append(~_is_paid())
    values = {
        "payment_id": payment.c.id,
        "subject": _text("subject"),
        "number": sa.func.coalesce(last.c.number, 0) + 1,
        "kind": sa.literal(str(kind), literal_execute=True),
        "source": source,
        "target": sa.literal(str(move.target), literal_execute=True),
        "amount": amount,
        "transaction_id": _text("transaction_id"),
        "actor": _text("actor"),
        "causation_id": _text("causation_id"),
        "created_at": sa.func.clock_timestamp(),
    }
    entry = sa.select(*values.values()).select_from(payment.outerjoin(last, sa.true())).where(*conditions)
    return prepare(insert(postings).from_select(list(values), entry).returning(postings.c.number))


def _standing(*, of_order: bool) -> Statement:
    payment, last = _payment(of_order=of_order).subquery("payment"), _last()
    of_last = (last.c.target.label("place"), sa.func.coalesce(last.c.amount, 0).label("amount"))
    of_payment = (payment.c.refundable, payment.c.left, payment.c.paid_elsewhere.label("elsewhere"), payment.c.currency)
    of_id = (_is_paid().label("is_paid"), _paid_under_id().label("under_id"))
    return prepare(sa.select(*of_payment, *of_last, *of_id).select_from(payment.outerjoin(last, sa.true())))


# By whether the order is known.
_POST = {(kind, known): _posting(kind, move, of_order=known) for kind, move in MOVES.items() for known in (True, False)}
_LOCK = {known: prepare(_payment(of_order=known).with_for_update()) for known in (True, False)}
_STANDING = {known: _standing(of_order=known) for known in (True, False)}


async def post(connection: Connection, entry: Entry, actor: Actor) -> bool:
    """Post the entry. False if it was posted before, or cannot be posted; `standing` says why."""
    statement = _POST[entry.kind, entry.order_id is not None]
    parameters = {"actor": actor.name, "causation_id": actor.causation_id}
    if MOVES[entry.kind].follows:
        parameters |= {"subject": entry.subject, "transaction_id": entry.transaction_id}
        return await statement.fetch_value(connection, **parameters) is not None
    return await statement.fetch_value(connection, **_parameters(entry), amount=entry.amount, **parameters) is not None


async def lock_payment(connection: Connection, entry: Entry) -> bool:
    """Until the transaction ends, nobody else posts to the entry's payment. False if the book does not have it."""
    parameters = _parameters(entry)
    del parameters["transaction_id"]
    if entry.order_id is None:
        parameters["amount"] = entry.amount
    else:
        del parameters["subject"]
    return await _LOCK[entry.order_id is not None].fetch_value(connection, **parameters) is not None


async def standing(connection: Connection, entry: Entry) -> Standing | None:
    """The state of the entry's payment and subject. None if the book does not have the payment."""
    parameters = _parameters(entry)
    if entry.order_id is None:
        parameters["amount"] = entry.amount
    row = await _STANDING[entry.order_id is not None].fetch_one(connection, **parameters)
    if row is None:
        return None
    place = None if row["place"] is None else Account(row["place"])
    amounts = {name: quantize(row[name], row["currency"]) for name in _AMOUNTS}
    return Standing(currency=row["currency"], place=place, is_paid=row["is_paid"], **amounts)


def _parameters(entry: Entry) -> dict[str, object]:
    parameters: dict[str, object] = {"subject": entry.subject, "reference": entry.reference}
    parameters["transaction_id"] = entry.transaction_id
    if entry.order_id is not None:
        parameters |= {"order_id": entry.order_id, "is_captured": entry.is_captured}
    return parameters
