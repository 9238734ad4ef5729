"""Outside work that is done once although its job may be tried again: its result is written on the job first (ADR 20).

What follows (the aggregate, audit, events) touches rows that others lock. When that fails, the next attempt finds the
result and does only the rest: no second e-mail, no second call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from common.database.transactions import Pool, is_connection_failure, reading
from common.jobs import queue
from common.jobs.queue import Job
from common.text.storable import describe_error

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0

_log = structlog.get_logger(__name__)


async def once(pool: Pool, job: Job, work: Callable[[], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
    """What `work` returned, now or at an earlier attempt. JSON must be able to hold it.

    Raises what `work` raises, and `LeaseLost`. A crash between the work and the record repeats the work.
    """
    if job.result is None:
        result = await work()
        await persist(lambda: _record(pool, job, result))
        job.result = result
    return job.result


async def persist(step: Callable[[], Awaitable[None]]) -> None:
    """Do `step` until it is done, through any failure of the database. Raises anything else, such as `LeaseLost`."""
    pause = _SHORTEST_PAUSE
    while True:
        try:
            return await step()
        except Exception as error:
            if not is_connection_failure(error):
                raise
            _log.warning("a job's end waits to be recorded", error=describe_error(error))
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


async def _record(pool: Pool, job: Job, result: Mapping[str, Any]) -> None:
    async with reading(pool) as connection:
        await queue.record_result(connection, job, result)
