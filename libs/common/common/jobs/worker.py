"""The worker: claims due jobs and runs them concurrently (ADR 7)."""

import asyncio
import contextlib
import os
import socket
from collections import Counter as Counts
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog
from prometheus_client import Histogram

from common.database.failures import FailuresLogged
from common.database.listener import LONGEST_WAIT, Listener
from common.database.transactions import Pool, reading
from common.jobs import endings, queue
from common.jobs.alerts import Alerts
from common.jobs.handler import JobHandler
from common.jobs.job import Job, LeaseLost
from common.jobs.leases import keep_leases
from common.jobs.presence import end_presence, report_presence
from common.jobs.runner import JobRunner
from common.settings import ServiceSettings

SHORTEST_IDLE, LONGEST_IDLE = 0.01, 0.15

_log = structlog.get_logger(__name__)
# The objective is 15 seconds: half of the contract's 30 from the event to the work (ADR 46).
_start_delay = Histogram(
    "job_start_delay_seconds",
    "From a job's due time to the start of its attempt",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 300, 1800),
)


class Worker:
    """Runs the jobs of its handlers' kinds; any number of workers may share one database."""

    def __init__(
        self,
        pool: Pool,
        handlers: Iterable[JobHandler],
        service: str,
        settings: ServiceSettings,
        *,
        longest_idle: float = LONGEST_IDLE,
        listener: Listener | None = None,
    ) -> None:
        """`longest_idle`: after how many seconds an idle worker looks for due jobs again, while no listener is
        connected."""
        self._pool = pool
        self._listener = listener
        self._longest_idle = longest_idle
        self._handlers = {handler.kind: handler for handler in handlers}
        for kind in self._handlers:
            _start_delay.labels(kind)  # a rate sees the first job only if the series exists before it
        self._runner = JobRunner(service, settings.retry_unit_seconds, Alerts.of(service, settings))
        self._lease = timedelta(seconds=settings.job_lease_seconds)
        self._running: dict[asyncio.Task[None], Job] = {}
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self, stopping: asyncio.Event) -> None:
        """Run jobs until `stopping` is set, then finish the running ones; those that a cancellation interrupts are
        handed back."""
        leases = asyncio.create_task(keep_leases(self._pool, lambda: list(self._running.values()), self._lease))
        # Two workers of one process have the same name in the attempts.
        present = f"{self._name}:{uuid4().hex[:8]}"
        presence = asyncio.create_task(report_presence(self._pool, present, list(self._handlers)))
        listening = [] if self._listener is None else [asyncio.create_task(self._listener.listen())]
        stop = asyncio.create_task(stopping.wait())
        idle = SHORTEST_IDLE
        try:
            while not stop.done():
                if self._listener is not None:
                    self._listener.start_round()
                claimed_count = await self._claim_due()
                if claimed_count and self._listener is not None:
                    self._listener.note_find()
                idle = SHORTEST_IDLE if claimed_count else min(idle * 2, self._longest_idle)
                await self._wait({stop, leases, presence, *self._running}, idle)
                self._collect()
                for own in (leases, presence):
                    if own.done():
                        own.result()
            if self._running:
                await asyncio.wait(self._running)
                self._collect()
        finally:
            for task in (leases, presence, stop, *listening):
                task.cancel()
            await self._hand_back_rest()
            await end_presence(self._pool, present)

    async def _wait(self, tasks: Collection["asyncio.Task[Any]"], idle: float) -> None:
        """Poll while there were due jobs a moment ago, and then wait for a notification."""
        if self._listener is not None and self._listener.may_wait:
            await self._listener.wait(tasks, LONGEST_WAIT)
        else:
            await asyncio.wait(tasks, timeout=idle, return_when=asyncio.FIRST_COMPLETED)

    async def _claim_due(self) -> int:
        """One statement for all kinds, so that a kind without due jobs costs no round trip."""
        busy = Counts(job.kind for job in self._running.values())
        free_places = {kind: handler.places() - busy[kind] for kind, handler in self._handlers.items()}
        limits = {kind: most for kind, most in free_places.items() if most > 0}
        claimed_jobs: Sequence[Job] = ()
        if limits:
            with FailuresLogged(_log.warning, "jobs cannot be claimed now"):
                claimed_jobs = await queue.claim(self._pool, limits, lease=self._lease, worker=self._name)
        for job in claimed_jobs:
            _start_delay.labels(job.kind).observe(max(job.waited_seconds, 0))
            self._running[asyncio.create_task(self._runner.run(job, self._handlers[job.kind]))] = job
        return len(claimed_jobs)

    def _collect(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            task.result()

    async def _hand_back_rest(self) -> None:
        unfinished_jobs, self._running = self._running, {}
        for task in unfinished_jobs:
            task.cancel()
        await asyncio.gather(*unfinished_jobs, return_exceptions=True)
        for task, job in unfinished_jobs.items():
            if not task.cancelled():
                continue
            with contextlib.suppress(LeaseLost), FailuresLogged(_log.warning, "a job was not handed back"):
                async with reading(self._pool) as connection:
                    await endings.hand_back(connection, job)
