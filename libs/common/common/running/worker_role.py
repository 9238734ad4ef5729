"""The role `worker`: the jobs of a service, and the resources that their handlers need."""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from common.component import Component
from common.jobs.handler import JobHandler
from common.jobs.worker import Worker
from common.service import Runtime


def worker_component(
    runtime: Runtime[Any], handlers: Iterable[JobHandler], *resources: AbstractAsyncContextManager[Any]
) -> Component:
    """A worker for the handlers' jobs. The resources are open while it runs."""
    worker = Worker(
        runtime.pool,
        handlers,
        service=runtime.service.name,
        retry_unit_seconds=runtime.settings.retry_unit_seconds,
        lease_seconds=runtime.settings.job_lease_seconds,
    )

    async def run(stopping: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            for resource in resources:
                await stack.enter_async_context(resource)
            await worker.run(stopping)

    return Component("worker", run)
