"""Settlement by hand: an operator has paid the customer in another way, or in the provider's dashboard (ADR 36)."""

from uuid import UUID

from asyncpg import UniqueViolationError
from common.audit.actor import Actor
from common.database.statements import Connection
from common.errors import Code, Problem
from common.jobs import queue

from refunds.domain.book import Overdrawn
from refunds.domain.refund import SETTLED_BY_HAND_FROM, RefundStatus, TransitionRefused
from refunds.events import SUCCEEDED, new_event
from refunds.repository import provider, writing
from refunds.use_cases import booking
from refunds.use_cases.answers import enqueue_mail
from refunds.use_cases.details import details
from refunds.use_cases.jobs import REFUND_JOB
from refunds.use_cases.queries import TriedRefund, get_refund


async def settle_refund(
    connection: Connection, refund_id: UUID, reference: str, note: str, actor: Actor
) -> TriedRefund:
    """Raises `Problem` NOT_FOUND, INVALID_STATE_TRANSITION where a call may be under way or the refund is paid, and
    CONFLICT for a reference of another refund or where less is left of the payment."""
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
    event = new_event(SUCCEEDED, refund, actor)
    try:
        await writing.save(connection, locked, refund, actor, details(refund, note=note), event)
        await booking.book_settlement(connection, refund, actor)
    except Overdrawn as overdrawn:
        raise Problem(Code.CONFLICT, str(overdrawn), {"refundable": str(overdrawn.refundable)}) from None
    except UniqueViolationError:
        # Another refund was settled with this reference at the same moment.
        raise is_of_another from None
    await enqueue_mail(connection, refund, actor)
    # A waiting or dead job ends without a call.
    await queue.wake(connection, REFUND_JOB, [refund.reference])
    await queue.replay_dead(connection, REFUND_JOB, refund.reference)
    return await get_refund(connection, refund_id)
