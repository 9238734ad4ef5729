"""Changes of a refund by an answer of the payment gateway, which comes by a call, a look-up or an event (ADR 36)."""

from uuid import UUID

import structlog
from common.aggregates.changes import Locked, Write
from common.audit.actor import Actor
from common.database.statements import Connection
from common.jobs import queue
from common.text.storable import describe_error
from prometheus_client import Histogram

from refunds.domain.refund import ALLOWED_TRANSITIONS, LastAnswer, Refund, RefundStatus
from refunds.domain.request import Cause
from refunds.events import FAILED, PROCESSING, SUCCEEDED, new_event
from refunds.payment_gateway.port import GatewayRefund, GatewayRefundStatus, OutcomeUnknown
from refunds.repository import calls, provider, writing
from refunds.use_cases import booking
from refunds.use_cases.details import details
from refunds.use_cases.jobs import FAILURES, MAIL_JOB, REFUND_JOB, Part, mail_job

_log = structlog.get_logger(__name__)
# The objective is two hours. Time that the money is on its way at the provider counts.
_seconds = Histogram(
    "refund_seconds",
    "From the acceptance of a refund to its success",
    buckets=(0.1, 0.5, 1, 5, 30, 120, 600, 1800, 3600, 7200, 14400, 86400, 604800),
)
_PAID = frozenset({RefundStatus.SUCCEEDED, RefundStatus.REVERSED})


async def record_success(
    connection: Connection, refund_id: UUID, transaction_id: str, position: int | None, actor: Actor
) -> Refund | None:
    """Record that the gateway has made the refund: its answer to the call at `position`. Returns None, and changes no
    state, if an event has reported this before."""
    locked = await writing.lock(connection, refund_id)
    answer = () if position is None else (calls.answer(position, "SUCCEEDED", transaction_id),)
    if locked.value.status in _PAID:
        _check_same(locked.value, transaction_id)
        if position is not None:
            await calls.insert_answer(connection, position, "SUCCEEDED", transaction_id)
        return None
    return await succeed(connection, locked, transaction_id, actor, *answer)


async def succeed(
    connection: Connection, locked: Locked[Refund], transaction_id: str, actor: Actor, *writes: Write
) -> Refund:
    """Write the event, book the refund, and enqueue the e-mail if there is an address."""
    refund = locked.value.succeed(transaction_id, locked.now)
    event = new_event(SUCCEEDED, refund, actor)
    await writing.save(connection, locked, refund, actor, details(refund), event, *writes)
    await booking.book_refund(connection, refund, actor)
    await enqueue_mail(connection, refund, actor)
    if locked.value.status is not RefundStatus.REVERSED:  # its first success was counted
        _seconds.observe((locked.now - refund.created_at).total_seconds())
    return refund


async def adopt(connection: Connection, locked: Locked[Refund], made: GatewayRefund, actor: Actor) -> None:
    """A refund that was made by hand in the provider's dashboard pays what is owed."""
    if made.status is not GatewayRefundStatus.PENDING:
        await succeed(connection, locked, made.id, actor)
        return
    refund = locked.value.await_completion(made.id).report()
    await writing.save(connection, locked, refund, actor, details(refund), new_event(PROCESSING, refund, actor))
    await booking.reserve_refund(connection, refund, actor, accepted=True)


async def record_pending(
    connection: Connection, refund_id: UUID, transaction_id: str, position: int | None, actor: Actor
) -> None:
    """The gateway has accepted the refund; the money is on its way."""
    locked = await writing.lock(connection, refund_id)
    answer = () if position is None else (calls.answer(position, "PENDING", transaction_id),)
    if locked.value.status in {RefundStatus.PENDING, *_PAID}:
        return
    refund = locked.value.await_completion(transaction_id).report()
    event = new_event(PROCESSING, refund, actor)
    await writing.save(connection, locked, refund, actor, details(refund), event, *answer)
    if locked.value.status is not RefundStatus.CALLING:
        # A replay finds a refund whose reservation was released when it had failed.
        await booking.reserve_refund(connection, refund, actor, accepted=True)


async def record_not_reached(
    connection: Connection, refund_id: UUID, error: str, position: int, actor: Actor, *, key_spent: bool
) -> Refund:
    """Record that a call did not reach the gateway. It does not count as an attempt."""
    locked = await writing.lock(connection, refund_id)
    if locked.value.status is not RefundStatus.CALLING:
        await calls.insert_answer(connection, position, LastAnswer.UNAVAILABLE, error)
        return locked.value
    refund = locked.value.not_reached(error, locked.now, key_spent=key_spent)
    answer = calls.answer(position, LastAnswer.UNAVAILABLE, error)
    await writing.save(connection, locked, refund, actor, details(refund), None, answer)
    return refund


async def record_lost_answer(
    connection: Connection, refund_id: UUID, failure: OutcomeUnknown, position: int, actor: Actor
) -> None:
    """The refund may have been made; whoever waits for it is told once."""
    error = describe_error(failure)
    locked = await writing.lock(connection, refund_id)
    if locked.value.status is not RefundStatus.CALLING:
        await calls.insert_answer(connection, position, LastAnswer.LOST, error)
        return
    refund = locked.value.lose_answer(error, locked.now, key_spent=failure.answer_is_kept, is_outage=failure.is_outage)
    event = None
    if refund.reported is None:
        refund = refund.report()
        event = new_event(PROCESSING, refund, actor)
    answer = calls.answer(position, LastAnswer.LOST, error)
    await writing.save(connection, locked, refund, actor, details(refund), event, answer)


async def record_absence(connection: Connection, refund_id: UUID, actor: Actor) -> None:
    """The call whose answer was lost certainly made nothing."""
    locked = await writing.lock(connection, refund_id)
    if locked.value.status is RefundStatus.UNKNOWN:
        refund = locked.value.is_absent()
        await writing.save(connection, locked, refund, actor, details(refund))


async def record_mismatch(connection: Connection, refund_id: UUID, made: GatewayRefund, actor: Actor) -> None:
    """The provider has a refund with our reference and another amount: it is booked, and people must decide."""
    locked = await writing.lock(connection, refund_id)
    refund = locked.value
    if refund.status is RefundStatus.CALLING:
        refund = refund.lose_answer("", locked.now, key_spent=refund.key_spent)
    if RefundStatus.HELD in ALLOWED_TRANSITIONS[refund.status]:
        refund = refund.hold(f"the provider's refund {made.id} has another amount: {made.amount} {made.currency}")
        await writing.save(connection, locked, refund, actor, details(refund))
        await booking.release_refund(connection, refund, actor)
    if made.status is GatewayRefundStatus.SUCCEEDED:
        await booking.book_foreign_refund(connection, made, actor, refund.request.order_id)
    _log.critical("a refund at the provider has another amount", refund_id=str(refund_id), transaction_id=made.id)


async def record_second(connection: Connection, refund: Refund, made: GatewayRefund, actor: Actor) -> None:
    """The provider has made a second refund with our reference: it is booked, and shown as an excess."""
    if made.status is GatewayRefundStatus.SUCCEEDED:
        await booking.book_foreign_refund(connection, made, actor, refund.request.order_id)
    _log.critical("one refund has two transactions at the provider", refund_id=str(refund.id), second=made.id)


async def release(connection: Connection, refund_id: UUID, actor: Actor) -> None:
    """What held the refund is over; nothing for a refund that is not held."""
    locked = await writing.lock(connection, refund_id)
    if locked.value.status is RefundStatus.HELD:
        refund = locked.value.release()
        await writing.save(connection, locked, refund, actor, details(refund))


async def record_decline(
    connection: Connection, refund_id: UUID, reason: str, position: int | None, actor: Actor
) -> None:
    """The gateway declines; whether the refund exists is looked up next."""
    locked = await writing.lock(connection, refund_id)
    if locked.value.status not in {RefundStatus.CALLING, RefundStatus.UNKNOWN}:
        if position is not None:
            await calls.insert_answer(connection, position, LastAnswer.DECLINED, reason)
        return
    refund = locked.value.lose_answer(reason, locked.now, key_spent=True, declined=True)
    answer = () if position is None else (calls.answer(position, LastAnswer.DECLINED, reason),)
    await writing.save(connection, locked, refund, actor, details(refund), None, *answer)


async def record_failure(connection: Connection, refund_id: UUID, error: str, actor: Actor) -> Refund:
    """No attempt is left, and the job is dead: write the event, and tell the customer.

    Neither where the payment is paid back already, as by an operator's refund: the event would be newer than that of
    its success. The result of a return is that of this refund alone. A replay that changes nothing has no event.

    If the payment's id, or a refund made by hand, was reported during the last attempt, the job is replayed, as it is
    when that is reported later.
    """
    locked = await writing.lock(connection, refund_id)
    refund = locked.value
    if refund.status in {*_PAID, RefundStatus.HELD}:
        return refund
    refund = refund.fail(error)
    is_final = refund.status is not RefundStatus.UNKNOWN
    is_owed = is_final and await booking.is_owed(connection, refund)
    is_news = locked.value.status not in FAILURES and (is_owed or refund.request.return_id is not None)
    event = new_event(FAILED, refund, actor) if is_final and is_news else None
    await writing.save(connection, locked, refund, actor, details(refund), event)
    if is_final:
        await booking.release_refund(connection, refund, actor)
    # Under a spent key only: the next attempt then uses the id, and this happens once.
    is_identified = refund.key_spent and await writing.is_identified(connection, locked)
    if is_identified or (is_final and await _is_paid_by_hand(connection, refund)):
        await queue.replay_dead(connection, REFUND_JOB, refund.request.business_key)
    elif is_owed:
        await enqueue_mail(connection, refund, actor)
    return refund


async def _is_paid_by_hand(connection: Connection, refund: Refund) -> bool:
    """Whether the next attempt adopts a refund that was made by hand, which an event reported while ours was called."""
    if refund.request.cause is Cause.OPERATOR:
        return False
    found = await provider.obstacles(connection, refund)
    return not found.disputes and any(is_whole(refund, each) for each in found.foreign_refunds)


def is_whole(refund: Refund, made: GatewayRefund) -> bool:
    return (made.amount, made.currency) == (refund.request.amount, refund.request.currency)


async def enqueue_mail(connection: Connection, refund: Refund, actor: Actor, part: Part | None = None) -> None:
    """Do nothing if the customer was already told. If the e-mail is waiting because the refund was being retried, make
    it due now."""
    if refund.request.customer_email is not None:
        mail = mail_job(refund, actor, part)
        await queue.enqueue(connection, mail)
        await queue.wake(connection, MAIL_JOB, [mail.business_key])


def _check_same(refund: Refund, transaction_id: str) -> None:
    if refund.transaction_id != transaction_id:
        _log.critical(
            "one refund has two transactions at the provider",
            refund_id=str(refund.id),
            transaction_ids=[refund.transaction_id, transaction_id],
        )
