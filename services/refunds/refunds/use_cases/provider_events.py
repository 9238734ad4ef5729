"""Receiving and applying the events of the payment provider, which come by webhook or sweep (ADR 36)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog
from common.aggregates.changes import Locked
from common.audit.actor import Actor
from common.database.statements import Connection
from common.errors import PermanentFailure
from common.jobs import queue
from common.jobs.job import NewJob
from common.messaging.outgoing import outbox
from common.telemetry.tracing import traceparent_below
from msgspec import convert, to_builtins

from refunds.domain.refund import Refund, RefundStatus
from refunds.events import DisputeData, dispute_event
from refunds.payment_gateway.port import (
    DisputeStatus,
    GatewayEvent,
    GatewayRefund,
    GatewayRefundStatus,
    PaymentDisputed,
    RefundChanged,
    Unreadable,
)
from refunds.repository import provider, writing
from refunds.repository import provider_events as events
from refunds.use_cases import booking
from refunds.use_cases.answers import adopt, is_whole, record_mismatch, record_second, succeed
from refunds.use_cases.calling import partly_refunded
from refunds.use_cases.details import details
from refunds.use_cases.jobs import EVENT_JOB, REFUND_JOB
from refunds.use_cases.reversals import reverse, take_back

_log = structlog.get_logger(__name__)
_Subject = TypeVar("_Subject", GatewayRefund, PaymentDisputed)
_ENDED = frozenset({RefundStatus.DECLINED, RefundStatus.FAILED})
_OPEN = frozenset({RefundStatus.READY, RefundStatus.DECLINED, RefundStatus.FAILED, RefundStatus.HELD})
# How often an event that came before the report of its payment is applied again: after 0.5, 1, 2, … seconds, for 36
# hours in all.
MOST_REPEATS = 18
_FIRST_REPEAT = timedelta(seconds=0.5)


async def receive(connection: Connection, provider_name: str, event: GatewayEvent, body: bytes | None = None) -> bool:
    """Store the event and enqueue the job that applies it, once. False for one that was received before."""
    document = {"kind": type(event.kind).__name__, "of": to_builtins(event.kind), "created_at": event.created_at}
    if not await events.store_event(connection, provider_name, event.id, to_builtins(document), body):
        return False
    await enqueue(connection, provider_name, event.id)
    return True


async def enqueue(connection: Connection, provider_name: str, event_id: str, repeats: int = 0) -> None:
    """The job that applies the event, for the first time or again."""
    payload: dict[str, object] = {"provider": provider_name, "event_id": event_id}
    if repeats:
        payload["repeats"] = repeats
    key = events.job_key(provider_name, event_id, repeats)
    await queue.enqueue(connection, NewJob(EVENT_JOB, key, payload, traceparent_below(), event_id))


async def apply(connection: Connection, payload: Mapping[str, Any], actor: Actor) -> None:
    """Apply the event that the payload of an event job names. Raises `LookupError` for an event that is not stored, and
    `PermanentFailure` for one that cannot be read.

    The report of the payment comes by another way, and may come later: then the event is applied again by another job.
    """
    repeats = payload.get("repeats", 0)
    event = await events.read_event(connection, payload["provider"], payload["event_id"])
    kind, is_last = _read(event), repeats == MOST_REPEATS
    if isinstance(kind, Unreadable):
        raise PermanentFailure(f"event {payload['event_id']} cannot be read: {kind.error}")
    if isinstance(kind, RefundChanged):
        refund = await _of_known_payment(connection, kind.refund)
        is_applied = await _apply_refund(connection, refund, actor, is_last=is_last)
    else:
        dispute = await _of_known_payment(connection, kind)
        is_applied = await _apply_dispute(connection, dispute, actor, repeats=repeats)
    if is_applied or is_last:
        await events.mark_applied(connection, payload["provider"], payload["event_id"])
    else:
        key = events.job_key(payload["provider"], payload["event_id"], repeats + 1)
        repeat = {**payload, "repeats": repeats + 1}
        await queue.enqueue(
            connection, NewJob.caused_by(actor, EVENT_JOB, key, repeat, due_in=_FIRST_REPEAT * 2**repeats)
        )


def _read(event: Any) -> RefundChanged | PaymentDisputed | Unreadable:
    types: dict[str, type[RefundChanged | PaymentDisputed | Unreadable]] = {
        each.__name__: each for each in (RefundChanged, PaymentDisputed, Unreadable)
    }
    return convert(event["of"], types[event["kind"]], strict=False)


async def _of_known_payment(connection: Connection, subject: _Subject) -> _Subject:
    """With the id of the payment that the book has, where the provider has two; with both as long as it has neither."""
    for reference in (subject.payment_alias, subject.payment_reference):
        if reference is not None and await provider.orders_of_payment(connection, reference):
            return replace(subject, payment_reference=reference, payment_alias=None)
    return subject


async def _apply_refund(connection: Connection, changed: GatewayRefund, actor: Actor, *, is_last: bool) -> bool:
    """False where the book does not have its payment yet: the refund is then an obstacle to ours, and not booked."""
    made = await provider.merge_refund(connection, changed)
    owner = await provider.owner(connection, made)
    if owner is not None:
        await _apply_to_ours(connection, await writing.lock(connection, owner), made, actor)
        return True
    if made.status is GatewayRefundStatus.FAILED:
        refunds = await _lock_refunds(connection, made.payment_reference)
        await take_back(connection, refunds, made, actor)
        await _resume_held(connection, refunds)
        return True
    if not is_last and not await provider.orders_of_payment(connection, made.payment_reference):
        return False
    refunds = await _lock_refunds(connection, made.payment_reference)
    if made.status is GatewayRefundStatus.SUCCEEDED:
        await booking.book_foreign_refund(connection, made, actor)
    _log.warning("a payment was refunded by hand at the provider", transaction_id=made.id)
    await _apply_foreign(connection, refunds, made, actor)
    return True


async def _lock_refunds(connection: Connection, payment_reference: str) -> list[Locked[Refund]]:
    """Before the book: it locks the payment, as every transition of a refund does after the refund's row. The other way
    round, the two would wait for each other."""
    ids = await provider.refunds_of_payment(connection, payment_reference)
    return [await writing.lock(connection, each) for each in ids]


async def _apply_to_ours(connection: Connection, locked: Locked[Refund], made: GatewayRefund, actor: Actor) -> None:
    refund = locked.value
    is_paid = refund.status in {RefundStatus.SUCCEEDED, RefundStatus.REVERSED}
    if made.status is GatewayRefundStatus.FAILED:
        if refund.status is RefundStatus.SUCCEEDED and refund.transaction_id == made.id:
            await reverse(connection, locked, made, actor)
        else:
            await take_back(connection, [locked], made, actor)
    elif not is_whole(refund, made):
        await record_mismatch(connection, refund.id, made, actor)
        return
    elif is_paid and refund.transaction_id != made.id:
        await record_second(connection, refund, made, actor)
    elif made.status is GatewayRefundStatus.SUCCEEDED and not is_paid:
        await succeed(connection, locked, made.id, actor)
    # A report of the failure is no reason to request a refund again that has ended by it.
    is_known = made.status is GatewayRefundStatus.FAILED and refund.status in _ENDED
    if not is_paid and not is_known:
        await _resume(connection, refund)


async def _apply_foreign(
    connection: Connection, refunds: Sequence[Locked[Refund]], made: GatewayRefund, actor: Actor
) -> None:
    """The oldest of our refunds with the same amount that is not paid adopts the refund made by hand. If there is none,
    our refunds without a call are held. A refund whose call may be under way is checked before its next call."""
    is_paying = [each for each in refunds if each.value.status in _OPEN and is_whole(each.value, made)]
    if is_paying:
        await adopt(connection, is_paying[0], made, actor)
        await _resume(connection, is_paying[0].value)
        return
    for each in refunds:
        if each.value.status is RefundStatus.READY:
            await _hold(connection, each, partly_refunded([made]), actor)
    await _resume_held(connection, refunds)


async def _apply_dispute(connection: Connection, dispute: PaymentDisputed, actor: Actor, *, repeats: int) -> bool:
    """False where the book does not have its payment yet: the dispute is then an obstacle to our refunds, and neither
    booked nor published, which a repeat does."""
    is_new = await provider.merge_dispute(connection, dispute)
    orders = await provider.orders_of_payment(connection, dispute.payment_reference)
    if not (orders or repeats == MOST_REPEATS):
        return False
    if not (is_new or (repeats and await provider.is_unbooked(connection, dispute))):
        return True
    _log.critical("a payment is disputed", dispute_id=dispute.dispute_id, status=dispute.status)
    refunds = await _lock_refunds(connection, dispute.payment_reference)
    await booking.book_dispute(connection, dispute, actor)
    for order_id, order_number in orders:
        await outbox.append(connection, dispute_event(_dispute_data(dispute, order_id, order_number), actor))
    for each in refunds:
        await _follow_dispute(connection, each, dispute, actor)
    return True


async def _follow_dispute(
    connection: Connection, locked: Locked[Refund], dispute: PaymentDisputed, actor: Actor
) -> None:
    """A payment in dispute is not refunded; after its end, the refund's job decides. A refund that is under way is not
    called again, and one that has ended for another reason is not tried again."""
    if locked.value.status is RefundStatus.READY and dispute.status is not DisputeStatus.WON:
        await _hold(connection, locked, f"the payment is disputed: {dispute.dispute_id}", actor)
    if dispute.status is not DisputeStatus.OPENED:
        await _resume_held(connection, [locked])


async def _hold(connection: Connection, locked: Locked[Refund], reason: str, actor: Actor) -> None:
    held = locked.value.hold(reason)
    await writing.save(connection, locked, held, actor, details(held))
    await booking.release_refund(connection, held, actor)


async def _resume_held(connection: Connection, refunds: Sequence[Locked[Refund]]) -> None:
    for each in refunds:
        if each.value.status in {RefundStatus.READY, RefundStatus.HELD}:
            await _resume(connection, each.value)


async def _resume(connection: Connection, refund: Refund) -> None:
    """Make the refund's job due, and ready if it is dead: it reads the new status."""
    await queue.wake(connection, REFUND_JOB, [refund.reference])
    await queue.replay_dead(connection, REFUND_JOB, refund.reference)


def _dispute_data(dispute: PaymentDisputed, order_id: UUID, order_number: str) -> DisputeData:
    of_order = {"order_id": order_id, "order_number": order_number}
    members = {name: getattr(dispute, name) for name in DisputeData.model_fields if name not in of_order}
    return DisputeData.model_validate(of_order | members)
