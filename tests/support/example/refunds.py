"""Ada's refund of 79.06 EUR."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from common.audit.actor import Actor
from common.database.transactions import Pool, transaction
from common.jobs import queue
from common.jobs.handler import JobHandler
from common.jobs.job import Job
from refunds.domain.refund import Refund
from refunds.domain.request import Cause, RefundRequest, return_key
from refunds.use_cases.jobs import REFUND_JOB
from refunds.use_cases.opening import open_refunds
from support.events.traceparent import TRACEPARENT
from support.example.ada import EMAIL, NAME, ORDER_NUMBER, TOTAL
from support.jobs import handlers
from support.jobs.rows import JobRow, find_job, replay_job, wait_for_state

EVENT = Actor(None, "return.completed", "SYSTEM", "EVENT", TRACEPARENT, causation_id="event-1")
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
# A minute of every schedule, in seconds.
RETRY_UNIT = 0.01


def a_request(**changes: Any) -> RefundRequest:
    """A new refund request, with these changes."""
    return_id = uuid4()
    request = RefundRequest(
        business_key=return_key(return_id),
        cause=Cause.RETURN_COMPLETED,
        order_id=uuid4(),
        order_number=ORDER_NUMBER,
        return_id=return_id,
        amount=Decimal(TOTAL),
        currency="EUR",
        payment_reference=f"pi_{return_id.hex}",
        customer_email=EMAIL,
        customer_name=NAME,
    )
    return replace(request, **changes)


def a_refund(**changes: Any) -> Refund:
    request = a_request(**changes)
    return Refund(request.refund_id, request, created_at=datetime.now(UTC))


async def open_refund(pool: Pool, **changes: Any) -> Refund:
    request = a_request(**changes)
    async with transaction(pool) as connection:
        await open_refunds(connection, [(request, EVENT)])
    return Refund(request.refund_id, request, created_at=datetime.now(UTC))


async def job_of(pool: Pool, refund: Refund, kind: str = REFUND_JOB) -> JobRow:
    job = await find_job(pool, kind, refund.reference)
    assert job is not None, f"no job {kind} for {refund.reference}"
    return job


async def job_in_state(pool: Pool, refund: Refund, state: str, kind: str = REFUND_JOB) -> JobRow:
    """Wait until the refund's job of this kind is in the state."""
    return await wait_for_state(pool, kind, refund.reference, state)


async def claim_job(pool: Pool, refund: Refund, kind: str = REFUND_JOB) -> Job:
    """Claim the refund's job as a worker would, even if it is not due yet."""
    async with transaction(pool) as connection:
        await connection.execute("UPDATE jobs SET due_at = now() WHERE business_key = $1", refund.reference)
    jobs = await queue.claim(pool, {kind: 1}, lease=timedelta(seconds=20), worker="a test")
    assert [job.business_key for job in jobs] == [refund.reference]
    return jobs[0]


async def replay(pool: Pool, job_id: UUID) -> None:
    async with transaction(pool) as connection:
        assert await replay_job(connection, job_id)


def running_worker(pool: Pool, handler: JobHandler) -> AbstractAsyncContextManager[object]:
    return handlers.running_worker(pool, handler, service="refunds", retry_unit_seconds=RETRY_UNIT)


async def row_of(pool: Pool, refund_id: object) -> dict[str, Any]:
    """The refund as it is stored."""
    row = await pool.fetchrow("SELECT * FROM refunds WHERE id = $1", refund_id)
    assert row is not None
    return dict(row)
