"""The payments of the book: captured in batches, renamed when their ids are known, compared with what is reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from common.audit.actor import Actor
from common.database.statements import Connection, array_rows, prepare
from sqlalchemy.dialects.postgresql import insert

from refunds.domain.book import Account, Capture
from refunds.domain.refund import RefundStatus
from refunds.tables import book_disagreements, book_payments, identified_payments, postings, refunds

_NEW = {
    "order_id": sa.Uuid(),
    "kind": sa.Text(),
    "reference": sa.Text(),
    "amount": postings.c.amount.type,
    "currency": sa.Text(),
    "order_number": sa.Text(),
    "customer_email": sa.Text(),
    "customer_name": sa.Text(),
    "actor": sa.Text(),
    "cause": sa.Text(),
}
_CAPTURED = tuple(name for name in _NEW if name in Capture.__slots__)
_CUSTOMER = ("order_number", "customer_email", "customer_name")
_new = array_rows("new", **_NEW)
_known_id = sa.and_(
    identified_payments.c.order_id == _new.c.order_id, identified_payments.c.first_reference == _new.c.reference
)
_opened = (
    insert(book_payments)
    .from_select(
        ["order_id", "kind", "reference", "first_reference", "currency", *_CUSTOMER],
        sa.select(
            _new.c.order_id,
            _new.c.kind,
            sa.func.coalesce(identified_payments.c.reference, _new.c.reference),
            identified_payments.c.first_reference,
            _new.c.currency,
            *(_new.c[name] for name in _CUSTOMER),
        )
        .select_from(_new.outerjoin(identified_payments, _known_id))
        # The same order in every process, so that two of them cannot deadlock.
        .order_by(_new.c.order_id, _new.c.reference),
    )
    .on_conflict_do_nothing()
    .returning(*book_payments.c)
    .cte("opened")
)
_name = sa.func.coalesce(_opened.c.first_reference, _opened.c.reference)
_CAPTURE = prepare(
    insert(postings).from_select(
        [
            "payment_id",
            "subject",
            "number",
            "kind",
            "source",
            "target",
            "amount",
            "actor",
            "causation_id",
            "created_at",
        ],
        sa.select(
            _opened.c.id,
            sa.func.concat("payment:", _opened.c.id),
            sa.literal_column("1"),
            _opened.c.kind,
            sa.literal(str(Account.PAYMENT), literal_execute=True),
            sa.literal(str(Account.REFUNDABLE), literal_execute=True),
            _new.c.amount,
            _new.c.actor,
            _new.c.cause,
            sa.func.clock_timestamp(),
        ).select_from(
            _new.join(
                _opened,
                sa.and_(
                    _opened.c.order_id == _new.c.order_id, _opened.c.kind == _new.c.kind, _name == _new.c.reference
                ),
            )
        ),
    )
)

# The payment of the book that a reported one is: the captured one of its order, or the one with its reference.
_is_captured = (_new.c.kind == "CAPTURE") & (book_payments.c.kind == "CAPTURE")
_is_named = sa.or_(book_payments.c.reference == _new.c.reference, book_payments.c.first_reference == _new.c.reference)
_is_same = (book_payments.c.order_id == _new.c.order_id) & sa.or_(_is_captured, _is_named)
_derived = sa.func.concat("order-", book_payments.c.order_id)
# The id of a payment that was without one may come with a later event of its order.
_RENAME_DERIVED = prepare(
    sa.update(book_payments)
    .where(_is_same, book_payments.c.reference == _derived, _new.c.reference != _derived)
    .values(reference=_new.c.reference, first_reference=book_payments.c.reference)
)
_booked = sa.func.concat(sa.func.trim_scale(book_payments.c.captured), " ", book_payments.c.currency)
_reported = sa.func.concat(sa.func.trim_scale(_new.c.amount), " ", _new.c.currency)
_REPORT_DIFFERENCES = prepare(
    insert(book_disagreements)
    .from_select(
        ["order_id", "reference", "kind", "booked", "reported", "source", "created_at"],
        sa.select(
            _new.c.order_id,
            _new.c.reference,
            sa.literal("CAPTURED_AMOUNT", literal_execute=True),
            _booked,
            _reported,
            _new.c.actor,
            sa.func.clock_timestamp(),
        ).where(_is_same, _booked != _reported),
    )
    .on_conflict_do_nothing()
)
_REPORT = prepare(
    insert(book_disagreements)
    .values(
        {name: sa.bindparam(name) for name in ("order_id", "reference", "kind", "booked", "reported", "source")}
        | {"created_at": sa.func.clock_timestamp()}
    )
    .on_conflict_do_nothing()
)
_RENAME = prepare(
    sa.update(book_payments)
    .where(
        book_payments.c.order_id == sa.bindparam("order_id", type_=sa.Uuid),
        book_payments.c.reference == sa.bindparam("old", type_=sa.Text),
    )
    .values(reference=sa.bindparam("new", type_=sa.Text), first_reference=book_payments.c.reference)
)


_FIND = prepare(
    sa.select(*(book_payments.c[name] for name in ("reference", "currency", *_CUSTOMER)))
    .where(
        book_payments.c.order_id == sa.bindparam("order_id", type_=sa.Uuid),
        sa.or_(
            book_payments.c.reference == sa.bindparam("reference", type_=sa.Text),
            book_payments.c.first_reference == sa.bindparam("reference", type_=sa.Text),
        ),
    )
    .limit(1)
)
_UNBOOKED = prepare(
    sa.select(refunds.c.id).where(
        refunds.c.order_id == sa.bindparam("order_id", type_=sa.Uuid),
        refunds.c.status == RefundStatus.SUCCEEDED.value,
        # Such a version did not know settlements. One of a refund that others have paid has no entry.
        ~refunds.c.settled_by_hand,
        ~sa.exists().where(postings.c.subject == sa.func.concat("refund:", refunds.c.id)),
    )
)


@dataclass(frozen=True, slots=True)
class KnownPayment:
    """A payment of the book, and whom a refund of it is for."""

    reference: str
    currency: str
    order_number: str
    customer_email: str | None
    customer_name: str | None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What the book has of a payment, and what was reported of it by `source`."""

    order_id: UUID | None
    reference: str
    kind: str
    booked: str
    reported: str
    source: str


async def capture(connection: Connection, captures: Sequence[tuple[Capture, Actor]]) -> None:
    """Book the payments that are new. Others are compared with the book: it takes the id of a payment that was without
    one, and keeps a difference as a disagreement."""
    if not captures:
        return
    rows = [(*(getattr(each, name) for name in _CAPTURED), actor.name, actor.causation_id) for each, actor in captures]
    columns = {f"{name}s": list(values) for name, values in zip(_NEW, zip(*rows, strict=True), strict=True)}
    if await _CAPTURE.execute(connection, **columns) == len(rows):
        return
    await _RENAME_DERIVED.execute(connection, **columns)
    await _REPORT_DIFFERENCES.execute(connection, **columns)


async def rename(connection: Connection, order_id: UUID, old: str, new: str) -> None:
    """The payment has this id now; its entries stay as they are."""
    await _RENAME.execute(connection, order_id=order_id, old=old, new=new)


async def find(connection: Connection, order_id: UUID, reference: str) -> KnownPayment | None:
    """The payment with this reference, or with it as its first one."""
    row = await _FIND.fetch_one(connection, order_id=order_id, reference=reference)
    return None if row is None else KnownPayment(**dict(row))


async def find_unbooked_refunds(connection: Connection, order_id: UUID) -> list[UUID]:
    """Refunds of the order that were made by a version without a book."""
    return [row["id"] for row in await _UNBOOKED.fetch_all(connection, order_id=order_id)]


async def disagree(connection: Connection, disagreement: Disagreement) -> None:
    """Keep it, once."""
    values = {name: getattr(disagreement, name) for name in Disagreement.__slots__}
    await _REPORT.execute(connection, **values)
