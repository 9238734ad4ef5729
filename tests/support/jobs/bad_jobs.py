"""Jobs of the kind "bad" with any work, beside jobs of the kind "good" that do nothing, on one worker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.database.transactions import Pool, transaction
from common.jobs import queue
from common.jobs.job import NewJob
from support.events.traceparent import TRACEPARENT
from support.jobs import handlers
from support.jobs.handlers import FunctionHandler, OnFailure, OnSuccess, Work, nothing
from support.waiting import eventually


@asynccontextmanager
async def running_worker(
    pool: Pool,
    work: Work,
    on_failure: OnFailure = nothing,
    *,
    on_success: OnSuccess = nothing,
    unit: float = 0.01,
    lease: float = 5,
) -> AsyncIterator[None]:
    """Run a worker for "bad" jobs, whose work is `work`, and for "good" ones. Raises the error that ends it."""
    bad = FunctionHandler("bad", work, on_success=on_success, on_failure=on_failure)
    both = (bad, FunctionHandler("good"))
    async with handlers.running_worker(pool, *both, retry_unit_seconds=unit, lease_seconds=lease):
        yield


async def enqueue(pool: Pool, *kinds: str) -> None:
    async with transaction(pool) as connection:
        await queue.enqueue(connection, *[NewJob(kind, "walnut bowl", {}, TRACEPARENT) for kind in kinds])


async def until_state(pool: Pool, kind: str, state: str) -> None:
    await eventually(lambda: pool.fetchval("SELECT true FROM jobs WHERE kind = $1 AND state = $2", kind, state))


async def attempts(pool: Pool, kind: str = "bad") -> list[str | None]:
    query = "SELECT outcome FROM job_attempts JOIN jobs ON id = job_id WHERE kind = $1 ORDER BY number"
    return [row["outcome"] for row in await pool.fetch(query, kind)]
