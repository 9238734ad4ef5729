"""The transitions of a refund; each writes its audit row, and the result also its event."""

from uuid import UUID

from common.audit.actor import Actor
from common.database.statements import Connection
from common.jobs import queue

from refunds.domain.refund import Refund
from refunds.events import FAILED, SUCCEEDED, new_event
from refunds.repository import writing
from refunds.use_cases.jobs import MAIL_JOB, REFUND_JOB, new_job


async def redirect_refund(connection: Connection, refund_id: UUID, actor: Actor) -> Refund:
    """Name the payment by its id, if that is known. Only while its job is held, and only before anything was sent, or
    once all that was sent certainly had no effect."""
    locked = await writing.lock(connection, refund_id)
    refund = locked.value.redirect()
    if refund is not locked.value:
        await writing.save(connection, locked, refund, actor, _details(refund))
    return refund


async def reopen_refund(connection: Connection, refund_id: UUID, actor: Actor) -> Refund:
    """Make a failed refund pending. Only while its job is held, and once the gateway was asked and has no such
    refund."""
    locked = await writing.lock(connection, refund_id)
    refund = locked.value.reopen()
    await writing.save(connection, locked, refund, actor, _details(refund))
    return refund


async def record_success(
    connection: Connection, refund_id: UUID, transaction_id: str, attempts: int, actor: Actor
) -> Refund:
    """The gateway has made the refund: write the event, and enqueue the e-mail if there is an address."""
    locked = await writing.lock(connection, refund_id)
    refund = locked.value.succeed(transaction_id, attempts, locked.now)
    event = new_event(SUCCEEDED, refund, actor)
    await writing.save(connection, locked, refund, actor, _details(refund), event)
    if refund.request.customer_email is not None:
        await queue.enqueue(connection, new_job(MAIL_JOB, refund, actor))
    return refund


async def record_failure(connection: Connection, refund_id: UUID, error: str, attempts: int, actor: Actor) -> Refund:
    """The refund failed permanently and its job is dead: write the event.

    If the payment's id was reported in this moment, the job is replayed, as it is when the id is reported later.
    """
    locked = await writing.lock(connection, refund_id)
    refund = locked.value.fail(error, attempts)
    await writing.save(connection, locked, refund, actor, _details(refund), new_event(FAILED, refund, actor))
    # Under a spent key only: the next attempt then uses the id, and this happens once.
    if refund.key_spent and await writing.is_identified(connection, locked):
        await queue.replay_dead(connection, REFUND_JOB, refund.request.business_key)
    return refund


def _details(refund: Refund) -> dict[str, object]:
    return {
        "transaction_id": refund.transaction_id,
        "payment_reference": refund.request.payment_reference,
        "error": refund.error,
        "idempotency_key": refund.idempotency_key,
        "attempts": refund.attempts,
    }
