"""Entries of the book (ADR 38): each is posted in the caller's transaction, which makes the change that it is about.

All are idempotent: what was booked is not booked again. The caller holds the lock of the refund.
"""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import structlog
from common.audit.actor import Actor
from common.database.statements import Connection

from refunds.domain.book import MOVES, PAID, Account, Capture, EntryKind, Overdrawn
from refunds.domain.refund import Refund
from refunds.domain.request import Cause, RefundRequest
from refunds.payment_gateway.port import DisputeStatus, GatewayRefund, PaymentDisputed
from refunds.repository import book, payments, reading
from refunds.repository.book import Entry, Standing
from refunds.repository.payments import Disagreement

_log = structlog.get_logger(__name__)
# How the payment came in that a refund of this cause is of, and pays back as a whole.
_KIND_OF = {
    Cause.RETURN_COMPLETED: EntryKind.CAPTURE,
    Cause.ORDER_CANCELLED: EntryKind.CAPTURE,
    Cause.LATE_PAYMENT: EntryKind.LATE_PAYMENT,
    Cause.SURPLUS_PAYMENT: EntryKind.SURPLUS_PAYMENT,
}
_DISPUTE_KINDS = {
    DisputeStatus.OPENED: EntryKind.DISPUTE_OPENED,
    DisputeStatus.WON: EntryKind.DISPUTE_WON,
    DisputeStatus.LOST: EntryKind.DISPUTE_LOST,
}


async def record_captures(connection: Connection, captures: Sequence[tuple[Capture, Actor]]) -> None:
    """Book payments, in one statement. One that the book has is not booked again; a report with another amount is kept
    as a disagreement."""
    distinct = {_identity(each): (each, actor) for each, actor in reversed(captures)}
    await payments.capture(connection, list(distinct.values()))


async def record_requested(connection: Connection, requests: Sequence[tuple[RefundRequest, Actor]]) -> None:
    """Book the payments of requests for refunds, which may arrive before the report of the payment: the request of an
    automatic refund has the amount of the whole payment."""
    captures = [(_capture_of(request), actor) for request, actor in requests if request.cause in _KIND_OF]
    await record_captures(connection, captures)


async def rename_payment(connection: Connection, order_id: UUID, first_reference: str, reference: str) -> None:
    """The payment has the id `reference` now; its entries stay as they are."""
    await payments.rename(connection, order_id, first_reference, reference)


async def reserve_refund(connection: Connection, refund: Refund, actor: Actor, *, accepted: bool = False) -> None:
    """Before the first call, and again after a release: move the amount to in-flight. Raises `Overdrawn` when less is
    left of the payment; the transaction may go on. `accepted`: the provider has the refund already, which is booked
    whatever is left."""
    entry = entry_of(refund, EntryKind.REFUND_RESERVED, transaction_id=refund.transaction_id if accepted else None)
    if await book.post(connection, entry, actor):
        return
    if await book.standing(connection, entry) is None:
        # It was opened by a version without a book.
        await record_requested(connection, [(refund.request, actor)])
    await post_entry(connection, entry, actor)


async def release_refund(connection: Connection, refund: Refund, actor: Actor) -> None:
    """The refund failed and certainly paid nothing back."""
    await post_entry(connection, entry_of(refund, EntryKind.REFUND_RELEASED), actor)


async def book_refund(connection: Connection, refund: Refund, actor: Actor) -> None:
    """The provider has made the refund. One that was booked as made by hand in the provider's dashboard, under the
    same transaction id, stays booked as that, and the reservation is released."""
    entry = entry_of(refund, EntryKind.REFUND_PAID, transaction_id=refund.transaction_id)
    if await book.post(connection, entry, actor):
        return
    found = await book.standing(connection, entry)
    if found is None:
        await record_requested(connection, [(refund.request, actor)])
        await post_entry(connection, entry, actor)
    elif found.is_paid:
        await book.post(connection, entry_of(refund, EntryKind.REFUND_RELEASED), actor)
    else:
        _check(entry, found)


async def book_reversal(connection: Connection, refund: Refund, actor: Actor) -> None:
    """The provider took a success back: the money may be refunded again. Where a refund made by hand has this
    transaction id, it is that one, and what else has paid the refund stays booked."""
    if refund.transaction_id is not None:
        adopted = entry_of(refund, EntryKind.REFUND_REVERSED, _foreign(refund.transaction_id))
        if await book.post(connection, adopted, actor):
            return
    await book.post(connection, entry_of(refund, EntryKind.REFUND_REVERSED), actor)


async def book_unbooked_refunds(connection: Connection, order_id: UUID, actor: Actor) -> None:
    """Book the refunds of the order that a version without a book has made since the migration."""
    for refund_id in await payments.find_unbooked_refunds(connection, order_id):
        await book_refund(connection, await reading.get(connection, refund_id), actor)


async def book_dispute(
    connection: Connection, dispute: PaymentDisputed, actor: Actor, order_id: UUID | None = None
) -> bool:
    """The bank reclaims the payment, or has decided about it; its events may come in any order. False where the book
    does not have the payment, which is kept as a disagreement."""
    opened, now = EntryKind.DISPUTE_OPENED, _DISPUTE_KINDS[dispute.status]
    entries = [
        Entry(
            kind=kind,
            subject=f"dispute:{dispute.dispute_id}",
            amount=dispute.amount,
            currency=dispute.currency,
            reference=dispute.payment_reference,
            order_id=order_id,
        )
        for kind in dict.fromkeys((opened, now))
    ]
    return await _book_facts(connection, entries, actor)


async def book_foreign_refund(
    connection: Connection, refund: GatewayRefund, actor: Actor, order_id: UUID | None = None
) -> bool:
    """A refund that was made by hand in the provider's dashboard, once per `refund.id`; nothing where one of ours was
    booked under that id. False as for `book_dispute`."""
    return await _book_facts(connection, [_foreign_entry(refund, EntryKind.FOREIGN_REFUND, order_id)], actor)


async def book_foreign_reversal(connection: Connection, refund: GatewayRefund, actor: Actor) -> bool:
    """A refund that was made by hand in the provider's dashboard has failed after all. False where it is not booked."""
    return await book.post(connection, _foreign_entry(refund, EntryKind.REFUND_REVERSED, None), actor)


async def is_short(connection: Connection, refund: Refund) -> bool:
    """Whether a refund of a whole payment was paid by others, as by refunds made by hand, and these do not pay it any
    more."""
    found = await book.standing(connection, entry_of(refund, EntryKind.REFUND_PAID))
    if found is None or not is_of_whole(refund):
        return False
    own = found.amount if found.place in PAID else Decimal(0)
    return own < refund.request.amount and found.left > 0


async def is_owed(connection: Connection, refund: Refund) -> bool:
    """Whether anything is left of its payment that neither the customer nor the bank has got back."""
    found = await book.standing(connection, entry_of(refund, EntryKind.REFUND_PAID))
    return found is None or found.left > 0


def is_of_whole(refund: Refund) -> bool:
    """Whether it is to pay back its whole payment: whatever others pay of it, is paid of the refund."""
    return refund.request.cause in _KIND_OF


async def post_entry(connection: Connection, entry: Entry, actor: Actor) -> None:
    """Raises `Overdrawn`."""
    if not await book.post(connection, entry, actor):
        _check(entry, await book.standing(connection, entry))


def _check(entry: Entry, found: Standing | None) -> None:
    """Why an entry was not posted: there was nothing to post, or too little is left (`Overdrawn`). Anything else is an
    error of the caller, and logged."""
    move = MOVES[entry.kind]
    place = Account.REFUNDABLE if found is None or found.place is None else found.place
    if place is move.target:
        return
    refundable = Decimal(0) if found is None else found.refundable
    if move.is_decision and place is Account.REFUNDABLE and refundable < entry.amount:
        raise Overdrawn(entry.amount, refundable, entry.currency)
    _log.error("an entry does not fit the book", subject=entry.subject, kind=entry.kind, standing=str(found))


async def _book_facts(connection: Connection, entries: Sequence[Entry], actor: Actor) -> bool:
    """Entries of one subject, in this order. False where the book does not have the payment in this currency."""
    first = entries[0]
    found = await book.standing(connection, first)
    if found is None or found.currency != first.currency:
        await _disagree(connection, first, found, actor)
        return False
    for entry in entries:
        await book.post(connection, entry, actor)
    return True


async def _disagree(connection: Connection, entry: Entry, found: Standing | None, actor: Actor) -> None:
    booked = "no such payment" if found is None else found.currency
    reported = f"{entry.subject}: {entry.amount} {entry.currency}"
    disagreement = Disagreement(entry.order_id, entry.reference, entry.kind, booked, reported, actor.name)
    await payments.disagree(connection, disagreement)


def entry_of(refund: Refund, kind: EntryKind, subject: str | None = None, transaction_id: str | None = None) -> Entry:
    request = refund.request
    return Entry(
        kind=kind,
        subject=subject or f"refund:{refund.id}",
        amount=request.amount,
        currency=request.currency,
        reference=request.payment_reference,
        order_id=request.order_id,
        is_captured=_KIND_OF.get(request.cause) is EntryKind.CAPTURE,
        transaction_id=transaction_id,
    )


def _foreign_entry(refund: GatewayRefund, kind: EntryKind, order_id: UUID | None) -> Entry:
    return Entry(
        kind=kind,
        subject=_foreign(refund.id),
        amount=refund.amount,
        currency=refund.currency,
        reference=refund.payment_reference,
        order_id=order_id,
        transaction_id=refund.id if kind is EntryKind.FOREIGN_REFUND else None,
    )


def _foreign(transaction_id: str) -> str:
    """The subject of a refund that was made by hand at the provider."""
    return f"foreign:{transaction_id}"


def _identity(capture: Capture) -> tuple[UUID, str]:
    return capture.order_id, "" if capture.kind is EntryKind.CAPTURE else capture.reference


def _capture_of(request: RefundRequest) -> Capture:
    return Capture(
        order_id=request.order_id,
        kind=_KIND_OF[request.cause],
        reference=request.payment_reference,
        amount=request.amount,
        currency=request.currency,
        order_number=request.order_number,
        customer_email=request.customer_email,
        customer_name=request.customer_name,
    )
