"""The transaction before a call to the payment gateway: it stores the call, or the reason why the refund must not be
made (ADR 36)."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from common.aggregates.changes import Locked
from common.audit.actor import Actor
from common.database.statements import Connection
from common.jobs.job import Job

from refunds.domain.refund import Refund, RefundStatus
from refunds.domain.request import Cause
from refunds.events import FAILED, new_event
from refunds.payment_gateway.port import Declined, DisputeStatus, GatewayRefund, GatewayRefundStatus
from refunds.repository import calls, provider, writing
from refunds.use_cases import booking
from refunds.use_cases.answers import adopt, is_whole
from refunds.use_cases.details import details
from refunds.use_cases.jobs import FAILURES


class Calling(NamedTuple):
    """A refund whose call may be made now, and the position of the call. `key_was_spent`: before the call."""

    refund: Refund
    position: int
    key_was_spent: bool = False


async def begin_first_call(connection: Connection, job: Job, refund_id: UUID) -> Calling | None:
    """Nearly every refund needs no more before its call. None where anything speaks against it. Raises `Overdrawn`."""
    begun = await calls.begin_first(connection, job, refund_id)
    if begun is None:
        return None
    calling = Calling(*begun)
    await booking.reserve_refund(connection, calling.refund, job.actor)
    return calling


async def begin_call(connection: Connection, refund_id: UUID, attempt: int, actor: Actor) -> Calling | None:
    """Only while its job is held, and where an earlier call certainly made nothing. None where the refund must not be
    made: because of a dispute, of a refund made by hand, or because it is made by now. Raises `Overdrawn`."""
    locked = await writing.lock(connection, refund_id)
    refund = _ready(locked.value)
    if refund is None:
        return None
    refund = refund.redirect()
    if await _is_prevented(connection, locked, refund, actor):
        return None
    key_was_spent = refund.key_spent
    refund = refund.call(locked.now)
    await booking.reserve_refund(connection, refund, actor)
    await writing.save(connection, locked, refund, actor, details(refund))
    position = await calls.insert_call(connection, refund, calls.REFUND, attempt)
    return Calling(refund, position, key_was_spent)


async def require_refund_by_hand(job: Job, refund: Refund) -> None:
    """The reason of a decline may be a refund made by hand, which an event reported during the call. Raises `Declined`
    where there is none."""
    async with job.reading() as connection:
        found = await provider.obstacles(connection, refund)
    if not found.foreign_refunds:
        raise Declined(refund.error or "declined")


def _ready(refund: Refund) -> Refund | None:
    if refund.status is RefundStatus.READY:
        return refund
    is_old = refund.status is RefundStatus.PENDING and refund.transaction_id is None
    if refund.status in {RefundStatus.CALLING, RefundStatus.UNKNOWN} or is_old:
        return refund.is_absent()
    if refund.status is RefundStatus.HELD:
        return refund.release()
    return refund.reopen() if refund.status in FAILURES else None


async def _is_prevented(connection: Connection, locked: Locked[Refund], refund: Refund, actor: Actor) -> bool:
    """Whether something speaks against the refund; it then gets the status that follows."""
    found = await provider.obstacles(connection, refund)
    lost = [each for each in found.disputes if each.status is DisputeStatus.LOST]
    # Where the bank has paid a part, the book decides: less is refundable.
    if sum(each.amount for each in lost) >= refund.request.amount and refund.request.cause is not Cause.OPERATOR:
        declined = refund.decline(f"the bank has paid the customer: dispute {lost[0].dispute_id}")
        # Of one that had ended before, a success of another refund of the payment may have been published since.
        event = None if locked.value.status in FAILURES else new_event(FAILED, declined, actor)
        await writing.save(connection, locked, declined, actor, details(declined), event)
        await booking.release_refund(connection, declined, actor)
        return True
    disputed = [each for each in found.disputes if each.status is DisputeStatus.OPENED]
    if disputed:
        await _hold(connection, locked, refund, f"the payment is disputed: {disputed[0].dispute_id}", actor)
        return True
    by_hand = found.foreign_refunds
    if not by_hand or refund.request.cause is Cause.OPERATOR:
        return False
    whole = next((each for each in by_hand if is_whole(refund, each)), None) or _last_part(refund, by_hand)
    if whole is not None:
        await adopt(connection, locked, whole, actor)
    else:
        await _hold(connection, locked, refund, partly_refunded(by_hand), actor)
    return True


async def _hold(connection: Connection, locked: Locked[Refund], refund: Refund, reason: str, actor: Actor) -> None:
    if locked.value.status is RefundStatus.HELD and locked.value.error == reason:
        return
    held = refund.hold(reason)
    await writing.save(connection, locked, held, actor, details(held))
    await booking.release_refund(connection, held, actor)


def _last_part(refund: Refund, by_hand: Sequence[GatewayRefund]) -> GatewayRefund | None:
    """The last of several refunds made by hand that together are what is owed; None where they are not."""
    made = [each for each in by_hand if each.status is GatewayRefundStatus.SUCCEEDED]
    return made[-1] if made and sum(each.amount for each in made) == refund.request.amount else None


def partly_refunded(by_hand: Sequence[GatewayRefund]) -> str:
    parts = ", ".join(f"{each.amount} {each.currency} as {each.id}" for each in by_hand)
    return f"the payment was refunded in part by hand: {parts}"
