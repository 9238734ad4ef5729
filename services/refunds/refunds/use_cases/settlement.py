"""Settlement by hand: an operator has paid the customer in another way, or in the provider's dashboard (ADR 36)."""

from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from asyncpg import UniqueViolationError
from common.audit.actor import Actor
from common.database.statements import Connection
from common.errors import Code, Problem
from common.jobs import queue

from refunds.domain.book import Account, EntryKind, Overdrawn
from refunds.domain.refund import SETTLED_BY_HAND_FROM, Refund, RefundStatus, TransitionRefused
from refunds.events import SUCCEEDED, new_event
from refunds.payment_gateway.port import GatewayRefundStatus
from refunds.repository import book, provider, writing
from refunds.repository.book import Standing
from refunds.use_cases import booking
from refunds.use_cases.answers import enqueue_mail
from refunds.use_cases.details import details
from refunds.use_cases.jobs import REFUND_JOB, Part
from refunds.use_cases.queries import TriedRefund, get_refund


class Settled(NamedTuple):
    """What a settlement has booked of a refund, and what refunds made by hand have paid of it."""

    booked: Decimal
    by_hand: Decimal


async def settle_refund(
    connection: Connection, refund_id: UUID, reference: str, note: str, actor: Actor
) -> TriedRefund:
    """Raises `Problem` NOT_FOUND, INVALID_STATE_TRANSITION where a call may be under way or the refund is paid, and
    CONFLICT for a reference of another refund or of one that has failed, or where less is left of the payment."""
    locked = await writing.find_and_lock(connection, refund_id)
    if locked is None:
        raise Problem.not_found("refund", refund_id)
    status = locked.value.status
    try:
        refund = locked.value.settle(reference, locked.now)
    except TransitionRefused:
        allowed = [str(RefundStatus.SUCCEEDED)] if status in SETTLED_BY_HAND_FROM else []
        raise Problem.invalid_transition(status, RefundStatus.SUCCEEDED, allowed) from None
    is_of_another = Problem(
        Code.CONFLICT, f"The reference {reference} is that of another refund.", {"reference": reference}
    )
    if await provider.is_of_another_refund(connection, reference, locked.value):
        raise is_of_another
    if await provider.status_of(connection, reference) is GatewayRefundStatus.FAILED:
        message = f"The refund {reference} has failed at the provider: it has paid nothing."
        raise Problem(Code.CONFLICT, message, {"reference": reference})
    event = new_event(SUCCEEDED, refund, actor)
    try:
        await writing.save(connection, locked, refund, actor, details(refund, note=note), event)
        settled = await book_settlement(connection, refund, actor)
    except Overdrawn as overdrawn:
        raise Problem(Code.CONFLICT, str(overdrawn), {"refundable": str(overdrawn.refundable)}) from None
    except UniqueViolationError:
        # Another refund was settled with this reference at the same moment.
        raise is_of_another from None
    news = _news(status, refund, settled)
    if news:
        is_part = news < refund.request.amount
        await enqueue_mail(connection, refund, actor, Part(news, reference) if is_part else None)
    # A waiting or dead job ends without a call.
    await queue.wake(connection, REFUND_JOB, [refund.reference])
    await queue.replay_dead(connection, REFUND_JOB, refund.reference)
    return await get_refund(connection, refund_id)


async def book_settlement(connection: Connection, refund: Refund, actor: Actor) -> Settled:
    """Book what of the refund was not paid before: nothing, where the whole payment was paid back or lost to the bank.
    Raises `Overdrawn`, also where others may still pay it, as refunds in flight.

    Of the refund of a whole payment, all is paid that others paid of the payment; of another one, only what was paid
    under the reference. If the provider took back a part after an earlier settlement, that one is booked anew, with the
    rest.
    """
    entry = booking.entry_of(refund, EntryKind.SETTLED_BY_HAND, transaction_id=refund.transaction_id)
    if not await book.lock_payment(connection, entry):
        await booking.record_requested(connection, [(refund.request, actor)])
    found = await book.standing(connection, entry)
    if found is None:
        raise Overdrawn(entry.amount, Decimal(0), entry.currency)
    before = found.amount if found.place is Account.SETTLED else Decimal(0)
    owed = max(before, _owed(refund, found, before))
    if found.place is Account.IN_FLIGHT and owed != found.amount:
        await booking.release_refund(connection, refund, actor)
    if owed > before:
        if before:
            await book.post(connection, booking.entry_of(refund, EntryKind.REFUND_REVERSED), actor)
        # One transaction is paid once: that of a refund made by hand is booked as that.
        transaction_id = None if found.is_paid else entry.transaction_id
        await booking.post_entry(connection, replace(entry, amount=owed, transaction_id=transaction_id), actor)
    return Settled(owed - before, found.elsewhere if booking.is_of_whole(refund) else found.under_id)


def _owed(refund: Refund, found: Standing, before: Decimal) -> Decimal:
    """Of the refund, with what was settled of it before."""
    amount, left = refund.request.amount, max(found.left + before, Decimal(0))
    if booking.is_of_whole(refund) or not left:
        return min(amount, left)
    return max(amount - found.under_id, Decimal(0))


def _news(status: RefundStatus, refund: Refund, settled: Settled) -> Decimal:
    """What the customer was not told of: refunds of operators had e-mails of their own, and so had the parts of a
    refund that had succeeded before."""
    if status is RefundStatus.REVERSED:
        return settled.booked
    return min(refund.request.amount, settled.booked + settled.by_hand)
