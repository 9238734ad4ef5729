"""Attempts at jobs one by one, as `common.jobs.runner` makes them, for tests that decide about each of them."""

from datetime import timedelta

from common.database.transactions import Pool, reading, transaction
from common.errors import PermanentFailure
from common.jobs import endings, queue
from common.jobs.handler import JobHandler
from common.jobs.job import Job, LeaseLost, Schedule
from common.jobs.runner import JobRunner

LEASE = timedelta(seconds=20)


class Crash(BaseException):
    """Stands for the end of the worker's process in the middle of an attempt."""


async def claim_jobs(pool: Pool, kind: str, limit: int) -> list[Job]:
    async with transaction(pool) as connection:
        return await queue.claim(connection, {kind: limit}, lease=LEASE, worker="a test")


def _runner(pool: Pool) -> JobRunner:
    return JobRunner(pool, service="refunds", retry_unit_seconds=0)


async def complete(pool: Pool, handler: JobHandler, job: Job) -> None:
    """One attempt. Raises what ends it, and stores no failure."""
    await _runner(pool).complete(job, handler)


async def attempt(pool: Pool, job: Job, handler: JobHandler, retries: Schedule) -> None:
    """Run the handler, and store a failure: a retry that is due at once or, after the last one, a dead job."""
    try:
        await complete(pool, handler, job)
    except (LeaseLost, Crash):
        return
    except Exception as error:
        try:
            await _store_failure(pool, job, handler, retries, error)
        except LeaseLost:
            return


async def _store_failure(pool: Pool, job: Job, handler: JobHandler, retries: Schedule, error: Exception) -> None:
    delay = retries.delay(job.failures + 1, unit_seconds=0)
    if delay is None or isinstance(error, PermanentFailure):
        await _runner(pool).bury(job, handler, repr(error))
    else:
        async with reading(pool) as connection:
            await endings.retry(connection, job, repr(error), delay)
