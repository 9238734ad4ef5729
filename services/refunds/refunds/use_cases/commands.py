"""The transitions of a refund; each writes its audit row, and the result also its event."""

from uuid import UUID

from common.audit.actor import Actor
from common.audit.entries import AuditEntry
from common.database.statements import Connection
from common.jobs import queue

from refunds.domain import Refund
from refunds.events import new_event
from refunds.repository import writing
from refunds.repository.writing import LockedRefund
from refunds.use_cases.jobs import MAIL_JOB, REFUND_JOB, new_job


async def redirect_refund(connection: Connection, refund_id: UUID, actor: Actor) -> Refund:
    """Name the payment by its id, if that is known. Only while its job is held, and only before anything was sent, or
    once all that was sent certainly had no effect."""
    locked = await writing.lock(connection, refund_id)
    redirected = locked.refund.redirect()
    if redirected is not locked.refund:
        await writing.save(connection, locked, redirected, _audit_entry(locked, redirected, actor))
    return redirected


async def reopen_refund(connection: Connection, refund_id: UUID, actor: Actor) -> Refund:
    """Make a failed refund pending. Only while its job is held, and once the gateway was asked and has no such
    refund."""
    locked = await writing.lock(connection, refund_id)
    reopened = locked.refund.reopen()
    await writing.save(connection, locked, reopened, _audit_entry(locked, reopened, actor))
    return reopened


async def record_success(
    connection: Connection, refund_id: UUID, transaction_id: str, attempts: int, actor: Actor
) -> Refund:
    """The gateway has made the refund: write the event, and enqueue the e-mail if there is an address."""
    locked = await writing.lock(connection, refund_id)
    succeeded = locked.refund.succeed(transaction_id, attempts, locked.now)
    await _save(connection, locked, succeeded, actor)
    if succeeded.request.customer_email is not None:
        await queue.enqueue(connection, new_job(MAIL_JOB, succeeded, actor))
    return succeeded


async def record_failure(connection: Connection, refund_id: UUID, error: str, attempts: int, actor: Actor) -> Refund:
    """The refund failed permanently and its job is dead: write the event.

    If the payment's id was reported in this moment, the job is replayed, as it is when the id is reported later.
    """
    locked = await writing.lock(connection, refund_id)
    failed = locked.refund.fail(error, attempts)
    await _save(connection, locked, failed, actor)
    # Under a spent key only: the next attempt then uses the id, and this happens once.
    if failed.key_spent and await writing.is_identified(connection, locked):
        await queue.replay_dead(connection, REFUND_JOB, failed.request.business_key)
    return failed


async def _save(connection: Connection, locked: LockedRefund, refund: Refund, actor: Actor) -> None:
    entry = _audit_entry(locked, refund, actor)
    await writing.save(connection, locked, refund, entry, new_event(refund, actor))


def _audit_entry(locked: LockedRefund, changed: Refund, actor: Actor) -> AuditEntry:
    return AuditEntry(
        entity_type="REFUND",
        entity_id=changed.id,
        previous_state=locked.refund.status.value,
        new_state=changed.status.value,
        outcome="ACCEPTED",
        actor=actor,
        created_at=locked.now,
        details={
            "transaction_id": changed.transaction_id,
            "payment_reference": changed.request.payment_reference,
            "error": changed.error,
            "idempotency_key": changed.idempotency_key,
            "attempts": changed.attempts,
        },
    )
