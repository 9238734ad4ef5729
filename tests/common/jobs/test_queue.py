"""A job is completed once, also if it is enqueued repeatedly or its worker ends or loses its lease."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest
from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.jobs import endings, leases, queue
from common.jobs.job import Job, LeaseLost, NewJob
from support.events.traceparent import TRACEPARENT
from support.jobs.handlers import FunctionHandler
from support.jobs.rows import replay_job
from support.waiting import eventually

LEASE = timedelta(seconds=30)


def invoice_of(order: str) -> NewJob:
    return NewJob("invoice", order, {"order": order}, TRACEPARENT)


async def enqueue(pool: Pool, *new_jobs: NewJob) -> None:
    async with transaction(pool) as connection:
        await queue.enqueue(connection, *new_jobs)


async def claim(pool: Pool, *, limit: int = 10, lease: timedelta = LEASE, worker: str = "anna") -> list[Job]:
    return await queue.claim(pool, {"invoice": limit}, lease=lease, worker=worker)


async def outcomes(pool: Pool) -> Sequence[str | None]:
    return [row["outcome"] for row in await pool.fetch("SELECT outcome FROM job_attempts ORDER BY number")]


async def test_work_that_is_enqueued_twice_is_one_job(pool: Pool) -> None:
    await enqueue(pool, invoice_of("walnut bowl"), invoice_of("walnut bowl"))
    await enqueue(pool, invoice_of("walnut bowl"))
    assert [job.business_key for job in await claim(pool)] == ["walnut bowl"]


async def test_a_job_may_be_due_later(pool: Pool) -> None:
    later = NewJob("invoice", "tomorrow's", {}, TRACEPARENT, due_in=timedelta(milliseconds=300))
    await enqueue(pool, later, invoice_of("walnut bowl"))
    assert [job.business_key for job in await claim(pool)] == ["walnut bowl"]

    async def claimed() -> list[Job]:
        return await claim(pool)

    [job] = await eventually(claimed)
    assert job.business_key == "tomorrow's"
    assert 0 <= job.waited_seconds < 5


async def test_two_workers_never_claim_the_same_job(pool: Pool) -> None:
    await enqueue(pool, *(invoice_of(f"order {number}") for number in range(40)))
    batches = await asyncio.gather(*(claim(pool, limit=10, worker=f"worker {number}") for number in range(6)))
    keys = [job.business_key for batch in batches for job in batch]
    assert len(keys) == len(set(keys)) == 40


async def test_a_claim_takes_jobs_of_each_kind_up_to_its_limit_longest_due_first(pool: Pool) -> None:
    mails = [NewJob("mail", f"order {number}", {}, TRACEPARENT) for number in range(5)]
    await enqueue(pool, *(invoice_of(f"order {number}") for number in range(5)), *mails)
    await pool.execute("UPDATE jobs SET due_at = now() - interval '1 min' WHERE business_key IN ('order 3', 'order 4')")
    jobs = await queue.claim(pool, {"invoice": 2, "mail": 3, "refund": 4}, lease=LEASE, worker="anna")
    keys = {kind: {job.business_key for job in jobs if job.kind == kind} for kind in ("invoice", "mail", "refund")}
    assert keys["invoice"] == {"order 3", "order 4"}
    assert len(keys["mail"]) == 3
    assert keys["mail"] > keys["invoice"]
    assert keys["refund"] == set()


async def test_a_job_that_failed_is_due_again_after_its_delay_and_not_before(pool: Pool) -> None:
    await enqueue(pool, invoice_of("walnut bowl"))
    [job] = await claim(pool)
    async with transaction(pool) as connection:
        await endings.retry(connection, job, "printer on fire", timedelta(minutes=2))
    assert await claim(pool) == []
    wait = await pool.fetchval("SELECT due_at - now() FROM jobs")
    assert timedelta(minutes=1, seconds=50) < wait <= timedelta(minutes=2)
    await pool.execute("UPDATE jobs SET due_at = now()")
    [claimed_again] = await claim(pool)
    assert (claimed_again.attempt, claimed_again.failures) == (2, 1)


async def test_a_worker_that_lost_its_lease_can_write_nothing(pool: Pool) -> None:
    await enqueue(pool, invoice_of("walnut bowl"))
    [paused_job] = await claim(pool, lease=timedelta(0))
    async with reading(pool) as connection:
        assert await leases.release_expired(connection) == 1
    [new_job] = await claim(pool, worker="bert")
    late_steps: list[Callable[[Connection], Awaitable[None]]] = [
        lambda connection: endings.complete(connection, paused_job),
        lambda connection: endings.retry(connection, paused_job, "late", LEASE),
        lambda connection: endings.bury(connection, paused_job, "late"),
        lambda connection: endings.hand_back(connection, paused_job),
    ]
    for step in late_steps:
        with pytest.raises(LeaseLost):
            async with transaction(pool) as connection:
                await step(connection)
    async with transaction(pool) as connection:
        await endings.complete(connection, new_job)
    assert await outcomes(pool) == ["abandoned", "succeeded"]


async def test_an_extended_lease_is_not_released(pool: Pool) -> None:
    await enqueue(pool, invoice_of("walnut bowl"))
    [job] = await claim(pool, lease=timedelta(0))
    async with reading(pool) as connection:
        await leases.extend(connection, [job], LEASE)
        assert await leases.release_expired(connection) == 0


async def test_a_job_that_is_handed_back_can_be_claimed_immediately_and_counts_no_failure(pool: Pool) -> None:
    await enqueue(pool, invoice_of("walnut bowl"))
    [job] = await claim(pool)
    async with transaction(pool) as connection:
        await endings.hand_back(connection, job)
    [claimed_again] = await claim(pool)
    assert (claimed_again.failures, claimed_again.abandoned) == (0, 0)


async def test_only_a_dead_job_can_be_replayed_and_it_gets_the_full_schedule_again(pool: Pool) -> None:
    await enqueue(pool, invoice_of("walnut bowl"))
    [job] = await claim(pool)
    async with transaction(pool) as connection:
        assert not await replay_job(connection, job.id)
        await endings.bury(connection, job, "printer on fire")
    assert await claim(pool) == []
    async with transaction(pool) as connection:
        assert await replay_job(connection, job.id)
    [claimed_again] = await claim(pool)
    assert (claimed_again.failures, claimed_again.attempt) == (0, 2)


async def test_a_job_that_is_enqueued_in_a_failing_transaction_does_not_exist(pool: Pool) -> None:
    with pytest.raises(RuntimeError, match="changed our mind"):
        async with transaction(pool) as connection:
            await queue.enqueue(connection, invoice_of("walnut bowl"))
            raise RuntimeError("changed our mind")
    assert await claim(pool) == []


def test_a_schedule_has_a_delay_after_each_failure_until_the_last() -> None:
    refunds = FunctionHandler("refund")
    refunds.retry_delays = (2, 4, 8, 16, 32)
    waits = [refunds.retry_delay(failures, unit_seconds=60) for failures in range(1, 7)]
    assert waits == [*(timedelta(minutes=minutes) for minutes in (2, 4, 8, 16, 32)), None]
