"""The checks of the common tables: what is old, parked or stuck is found, and what is being worked on is not."""

from datetime import timedelta

import pytest
from common.database.transactions import Pool, transaction
from common.jobs import endings, kinds, queue
from common.jobs.job import NewJob
from common.reconciliation.table_checks import table_checks
from support.events.traceparent import TRACEPARENT
from support.kafka.relays import PARK_EVENT, write_events
from support.reconciliation.rounds import reconcile

MINUTES_AGO = "now() - interval '2 minutes'"


async def found(pool: Pool) -> list[tuple[str, str]]:
    return await reconcile(pool, table_checks())


async def enqueue(pool: Pool, kind: str, *keys: str) -> None:
    async with transaction(pool) as connection:
        await queue.enqueue(connection, *(NewJob(kind, key, {}, TRACEPARENT) for key in keys))
    await pool.execute(f"UPDATE jobs SET due_at = {MINUTES_AGO} WHERE kind = $1", kind)  # noqa: S608


async def test_old_events_are_one_finding_per_topic_and_those_behind_a_parked_one_are_none(pool: Pool) -> None:
    await write_events(pool, "vases", ["a", "b"], range(1, 4))
    await write_events(pool, "bowls", ["c"], range(1, 3))
    assert await found(pool) == []

    await pool.execute(f"UPDATE outbox SET created_at = {MINUTES_AGO}")  # noqa: S608
    parked = await pool.fetchval(PARK_EVENT, "bowls", "c", 1)
    parked_id = await pool.fetchval("SELECT id::text FROM outbox WHERE position = $1", parked)
    assert await found(pool) == [("event_parked", parked_id), ("outbox_old", "vases")]


async def test_a_job_that_no_worker_takes_over_is_found(pool: Pool) -> None:
    await enqueue(pool, "glaze", "vase-1", "vase-2")
    jobs = await queue.claim(pool, {"glaze": 2}, lease=timedelta(seconds=20), worker="kiln-1")
    assert await found(pool) == []

    await pool.execute(f"UPDATE jobs SET leased_until = {MINUTES_AGO} WHERE id = $1", jobs[0].id)  # noqa: S608
    assert await found(pool) == [("job_abandoned", str(jobs[0].id))]


async def test_a_kind_of_job_that_nobody_works_on_is_overdue(pool: Pool) -> None:
    await enqueue(pool, "glaze", "vase-1", "vase-2")
    assert await found(pool) == [("jobs_overdue", "glaze")]


@pytest.mark.parametrize("is_tried", ["running", "done", "retried"])
async def test_a_backlog_that_is_worked_on_is_not_overdue(pool: Pool, is_tried: str) -> None:
    await enqueue(pool, "glaze", "vase-1", "vase-2")
    [job] = await queue.claim(pool, {"glaze": 1}, lease=timedelta(seconds=20), worker="kiln-1")
    async with transaction(pool) as connection:
        if is_tried == "done":
            await endings.complete(connection, job)
        elif is_tried == "retried":
            await endings.retry(connection, job, "the kiln is cold", timedelta(seconds=1))
    assert await found(pool) == []


async def test_dead_jobs_and_jobs_that_wait_for_their_next_attempt_are_no_finding(pool: Pool) -> None:
    await enqueue(pool, "glaze", "vase-1", "vase-2")
    dead, waiting = await queue.claim(pool, {"glaze": 2}, lease=timedelta(seconds=20), worker="kiln-1")
    async with transaction(pool) as connection:
        await endings.bury(connection, dead, "the vase fell down")
        await endings.retry(connection, waiting, "the kiln is cold", timedelta(minutes=32))
    assert await found(pool) == []


async def test_a_kind_that_is_paused_is_not_overdue(pool: Pool) -> None:
    await enqueue(pool, "glaze", "vase-1")
    async with transaction(pool) as connection:
        await kinds.pause(connection, "glaze", "the kiln is repaired", "anna")
    assert await found(pool) == []
