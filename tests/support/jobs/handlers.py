"""A job handler made of functions, and a worker that runs during a block."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from common.database.statements import Connection
from common.database.transactions import Pool
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job
from common.jobs.worker import Worker
from common.settings import ServiceSettings
from support.running import running

Result = Mapping[str, Any]
Work = Callable[[Job], Awaitable[Result | None]]
OnSuccess = Callable[[Connection, Job, Result], Awaitable[None]]
OnFailure = Callable[[Connection, Job, str], Awaitable[None]]


async def nothing(*_: object) -> None:
    pass


class FunctionHandler(JobHandler):
    retry_delays: tuple[int, ...] = (1, 2, 4)

    def __init__(
        self,
        kind: str,
        work: Work = nothing,
        *,
        on_success: OnSuccess = nothing,
        on_failure: OnFailure = nothing,
        timeout_seconds: float = 30,
    ) -> None:
        self.kind = kind
        self.timeout_seconds = timeout_seconds
        self._work, self._on_success, self._on_failure = work, on_success, on_failure

    async def work(self, job: Job) -> Result:
        return await self._work(job) or {}

    async def on_success(self, connection: Connection, job: Job) -> None:
        await self._on_success(connection, job, job.result)

    async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
        await self._on_failure(connection, job, error)
        return Subject(job.business_key, {})


def worker_settings(retry_unit_seconds: float, lease_seconds: float) -> ServiceSettings:
    return ServiceSettings(
        database_url="postgresql://nowhere/nothing",
        kafka_bootstrap="nowhere:9092",
        retry_unit_seconds=retry_unit_seconds,
        job_lease_seconds=lease_seconds,
    )


@asynccontextmanager
async def running_worker(
    pool: Pool,
    *handlers: JobHandler,
    service: str = "invoicing",
    retry_unit_seconds: float = 0.01,
    lease_seconds: float = 5,
) -> AsyncIterator[asyncio.Event]:
    """Yield the event that stops the worker. Raises the error that ends it."""
    settings = worker_settings(retry_unit_seconds, lease_seconds)
    async with running(Worker(pool, handlers, service, settings).run) as stopping:
        yield stopping
