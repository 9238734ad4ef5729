"""Single attempts at jobs, as `common.jobs.runner` makes them, for tests that control each attempt."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from common.database.transactions import Pool, reading
from common.errors import PermanentFailure
from common.jobs import endings, queue
from common.jobs.handler import JobHandler
from common.jobs.job import Job, LeaseLost, Postponed
from common.jobs.runner import JobRunner

LEASE = timedelta(seconds=20)


class Crash(BaseException):
    """Stands for the end of the worker's process in the middle of an attempt."""


async def claim_jobs(pool: Pool, kind: str, limit: int) -> list[Job]:
    return await queue.claim(pool, {kind: limit}, lease=LEASE, worker="a test")


# Retries are due immediately.
_RUNNER = JobRunner(service="refunds", retry_unit_seconds=0)


async def complete(handler: JobHandler, job: Job) -> None:
    """Make one attempt. Raises the error that ends it, and stores no failure."""
    await _RUNNER.complete(job, handler)


async def attempt(job: Job, handler: JobHandler, retry_delays: Sequence[int]) -> None:
    """Run the handler, and store a failure: an immediate retry or, after the last one, a dead job. One that is
    postponed is due again immediately."""
    try:
        await complete(handler, job)
    except (LeaseLost, Crash):
        return
    except Postponed as postponed:
        with suppress(LeaseLost):
            async with reading(job.pool) as connection:
                await endings.postpone(connection, job, repr(postponed), timedelta(0))
    except Exception as error:
        with suppress(LeaseLost):
            await _store_failure(job, handler, retry_delays, error)


async def _store_failure(job: Job, handler: JobHandler, retry_delays: Sequence[int], error: Exception) -> None:
    if job.failures >= len(retry_delays) or isinstance(error, PermanentFailure):
        await _RUNNER.bury(job, handler, repr(error))
    else:
        async with reading(job.pool) as connection:
            await endings.retry(connection, job, repr(error), timedelta(0))
