"""Attempts at jobs one by one, as `common.jobs.worker` makes them, for tests that decide about each of them."""

from datetime import timedelta

from common.database.transactions import Pool, transaction
from common.errors import PermanentFailure
from common.jobs import queue
from common.jobs.queue import Job, LeaseLost, Schedule
from common.jobs.worker import JobHandler

LEASE = timedelta(seconds=20)


class Crash(BaseException):
    """Stands for the end of the worker's process in the middle of an attempt."""


async def claim_jobs(pool: Pool, kind: str, limit: int) -> list[Job]:
    async with transaction(pool) as connection:
        return await queue.claim(connection, {kind: limit}, lease=LEASE, worker="a test")


async def attempt(pool: Pool, job: Job, handler: JobHandler, retries: Schedule) -> None:
    """Run the handler, and store a failure: a retry that is due at once or, after the last one, a dead job."""
    try:
        await handler.run(job)
    except (LeaseLost, Crash):
        return
    except Exception as error:
        try:
            await _store_failure(pool, job, handler, retries, error)
        except LeaseLost:
            return


async def _store_failure(pool: Pool, job: Job, handler: JobHandler, retries: Schedule, error: Exception) -> None:
    delay = retries.delay(job.failures + 1, unit_seconds=0)
    async with transaction(pool) as connection:
        if delay is not None and not isinstance(error, PermanentFailure):
            await queue.retry(connection, job, repr(error), delay)
        else:
            await queue.bury(connection, job, repr(error))
            await handler.on_dead(connection, job, repr(error))
