"""The steps of a refund; each leaves its audit row, and its event where others are to know."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from common.audit.actor import Actor
from common.audit.entries import AuditEntry
from common.database.statements import Connection
from common.jobs import dead_letters, queue
from common.jobs.queue import Job, NewJob
from common.telemetry.trace_context import new_traceparent

from refunds.domain import Claim, Refund
from refunds.events import new_event
from refunds.repository import changes
from refunds.repository.changes import LockedRefund

SERVICE = "refunds"
REFUND_JOB = "refund"
MAIL_JOB = "refund-mail"


@dataclass(frozen=True, slots=True)
class OwedRefund:
    """A claim, and what told us of it."""

    claim: Claim
    actor: Actor


async def open_refunds(connection: Connection, owed: Iterable[OwedRefund]) -> set[UUID]:
    """Open a refund and queue its job for every claim that is new; returns the new refunds' ids."""
    first_mention = {each.claim.business_key: each for each in reversed(list(owed))}
    now = await changes.clock(connection)
    opened = []
    for each in first_mention.values():
        refund = Refund(each.claim.refund_id, each.claim, created_at=now)
        opened.append((refund, _opening(refund, each.actor)))
    new = await changes.add(connection, opened)
    await queue.enqueue(
        connection, *[_job(REFUND_JOB, refund, entry.actor) for refund, entry in opened if refund.id in new]
    )
    return new


async def identify_payment(connection: Connection, order_id: UUID, first_reference: str, reference: str) -> None:
    """The provider's id of a payment became known: a refund that was given up without it is tried again."""
    await changes.identify_payment(connection, order_id, first_reference, reference)
    dead_job = await changes.find_dead_job(connection, REFUND_JOB, order_id, first_reference)
    if dead_job is not None:
        await queue.replay(connection, dead_job)


async def redirect_refund(connection: Connection, job: Job, refund_id: UUID) -> Refund:
    """Name the payment by its id, if that is known: only before anything was sent, or once all that was sent is
    certain to have had no effect. Raises `LeaseLost`."""
    await changes.hold(connection, job)
    locked = await changes.lock(connection, refund_id)
    redirected = locked.refund.redirect()
    if redirected is not locked.refund:
        await changes.save(connection, locked, redirected, _audit_entry(locked, redirected, _actor(job)))
    return redirected


async def reopen_refund(connection: Connection, job: Job, refund_id: UUID) -> Refund:
    """A dead job was replayed, and the gateway knows of no refund: begin anew. Raises `LeaseLost`."""
    await changes.hold(connection, job)
    locked = await changes.lock(connection, refund_id)
    reopened = locked.refund.reopen()
    await changes.save(connection, locked, reopened, _audit_entry(locked, reopened, _actor(job)))
    return reopened


async def record_success(connection: Connection, job: Job, refund_id: UUID, transaction_id: str) -> Refund:
    """The gateway has made the refund: tell the others, and the customer if there is an address. Raises `LeaseLost`."""
    await queue.complete(connection, job)
    locked = await changes.lock(connection, refund_id)
    succeeded = locked.refund.succeed(transaction_id, job.attempt, locked.now)
    actor = await _save_and_tell(connection, job, locked, succeeded)
    if succeeded.claim.customer_email is not None:
        await queue.enqueue(connection, _job(MAIL_JOB, succeeded, actor))
    return succeeded


async def record_failure(connection: Connection, job: Job, refund_id: UUID, error: str) -> Refund:
    """The refund was given up, and its job just buried: tell the others, and whoever watches the dead letters.

    If the payment's id came in this very moment, the refund is tried again, as it is when the id comes later.
    """
    locked = await changes.lock(connection, refund_id)
    failed = locked.refund.fail(error, job.attempt)
    await _save_and_tell(connection, job, locked, failed)
    await dead_letters.append_dead_job(connection, SERVICE, str(failed.claim.order_id), job, error)
    # Under a spent key only: the next try then uses the id up, and this happens once.
    if failed.key_spent and await changes.is_identified(connection, locked):
        await queue.replay(connection, job.id)
    return failed


async def _save_and_tell(connection: Connection, job: Job, locked: LockedRefund, refund: Refund) -> Actor:
    actor = _actor(job)
    entry = _audit_entry(locked, refund, actor)
    await changes.save(connection, locked, refund, entry, new_event(refund, actor))
    return actor


def _actor(job: Job) -> Actor:
    return Actor(
        id=job.kind,
        type="SYSTEM",
        trigger="BACKGROUND_JOB",
        traceparent=new_traceparent(job.traceparent),
        causation_id=job.causation_id,
    )


def _job(kind: str, refund: Refund, actor: Actor) -> NewJob:
    return NewJob(
        kind=kind,
        business_key=refund.claim.business_key,
        payload={"refund_id": refund.id},
        traceparent=actor.traceparent,
        causation_id=actor.causation_id,
    )


def _opening(refund: Refund, actor: Actor) -> AuditEntry:
    return AuditEntry(
        entity_type="REFUND",
        entity_id=refund.id,
        previous_state=None,
        new_state=refund.status.value,
        outcome="ACCEPTED",
        actor=actor,
        created_at=refund.created_at,
        details={
            "cause": refund.claim.cause.value,
            "amount": refund.claim.amount,
            "currency": refund.claim.currency,
            "payment_reference": refund.claim.payment_reference,
            "event_id": actor.causation_id,
        },
    )


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
            "payment_reference": changed.claim.payment_reference,
            "error": changed.error,
            "idempotency_key": changed.idempotency_key,
            "attempts": changed.attempts,
        },
    )
