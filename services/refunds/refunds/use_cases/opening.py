"""Open refunds for what customers are owed, and store the ids of payments that are reported later."""

from collections.abc import Sequence
from uuid import UUID

from common.aggregates.changes import New
from common.audit.actor import Actor
from common.database.statements import Connection
from common.jobs import queue

from refunds.domain.refund import Refund
from refunds.domain.request import RefundRequest
from refunds.repository import writing
from refunds.use_cases import booking
from refunds.use_cases.jobs import REFUND_JOB, new_job


async def open_refunds(connection: Connection, requests: Sequence[tuple[RefundRequest, Actor]]) -> set[UUID]:
    """Open a refund and enqueue its job for every new request; returns the ids of the new refunds."""
    now = await writing.clock(connection)
    first = {request.business_key: (request, actor) for request, actor in reversed(requests)}
    await booking.record_requested(connection, list(first.values()))
    refunds = [
        New(Refund(request.refund_id, request, created_at=now), actor, _details(request, actor))
        for request, actor in first.values()
    ]
    new = await writing.add(connection, refunds)
    jobs = [new_job(REFUND_JOB, each.value, each.actor) for each in refunds if each.value.id in new]
    await queue.enqueue(connection, *jobs)
    return new


async def identify_payment(connection: Connection, order_id: UUID, first_reference: str, reference: str) -> None:
    """Store the provider's id of a payment; refunds that failed without it are tried again."""
    business_keys = await writing.identify_payment(connection, order_id, first_reference, reference)
    await booking.rename_payment(connection, order_id, first_reference, reference)
    for business_key in business_keys:
        await queue.replay_dead(connection, REFUND_JOB, business_key)


def _details(request: RefundRequest, actor: Actor) -> dict[str, object]:
    return {
        "cause": request.cause.value,
        "amount": request.amount,
        "currency": request.currency,
        "payment_reference": request.payment_reference,
        "event_id": actor.causation_id,
    }
