"""Runs jobs: claims what is due, keeps the leases while it works, and decides what follows a failure (ADR 0007)."""

import asyncio
import contextlib
import os
import socket
from collections import Counter as Counts
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from prometheus_client import Counter, Histogram

from common import jobs
from common.database.statements import Connection
from common.database.transactions import Pool, is_connection_failure, is_database_failure, reading, transaction
from common.jobs import Job, LeaseLost, PermanentFailure, Schedule

# A job whose worker died this often takes its workers with it; it is buried for an operator to look at.
MOST_ABANDONED = 10
SHORTEST_IDLE, LONGEST_IDLE = 0.01, 0.15
_LONGEST_ERROR = 2000

_log = structlog.get_logger(__name__)
_attempts = Counter("job_attempts_total", "Attempts at jobs by how they ended", ["kind", "outcome"])
_seconds = Histogram("job_attempt_seconds", "How long an attempt at a job took", ["kind"])
_start_delay = Histogram("job_start_delay_seconds", "From a job's due time to the start of its attempt", ["kind"])


@dataclass(frozen=True, slots=True)
class JobHandler:
    """How one kind of job is done.

    `run` does the outside work, then commits the result together with `jobs.complete` in one transaction of its own.
    `on_dead` writes what follows the final failure (events, a dead letter) in the transaction that buries the job.
    An attempt that takes longer than `timeout_seconds` has failed.
    """

    run: Callable[[Job], Awaitable[None]]
    on_dead: Callable[[Connection, Job, str], Awaitable[None]]
    schedule: Schedule
    concurrency: int = 4
    timeout_seconds: float = 60


class Worker:
    """Runs the jobs of the given kinds; any number of workers may share one database."""

    def __init__(
        self, pool: Pool, handlers: Mapping[str, JobHandler], *, retry_unit_seconds: float, lease_seconds: float
    ) -> None:
        self._pool = pool
        self._handlers = handlers
        self._retry_unit = retry_unit_seconds
        self._lease = timedelta(seconds=lease_seconds)
        self._running: dict[asyncio.Task[None], Job] = {}
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, then finish what is in hand; what a cancellation leaves over is handed back."""
        keeper = asyncio.create_task(self._keep_leases())
        stop = asyncio.create_task(stopping.wait())
        idle = SHORTEST_IDLE
        try:
            while not stop.done():
                claimed = await self._claim_due()
                idle = SHORTEST_IDLE if claimed else min(idle * 2, LONGEST_IDLE)
                await asyncio.wait({stop, keeper, *self._running}, timeout=idle, return_when=asyncio.FIRST_COMPLETED)
                self._collect()
                if keeper.done():
                    keeper.result()
            if self._running:
                await asyncio.wait(self._running)
                self._collect()
        finally:
            keeper.cancel()
            stop.cancel()
            await self._hand_back_rest()

    async def _claim_due(self) -> int:
        """One question for all kinds, so that one without work costs nothing beside another's."""
        busy = Counts(job.kind for job in self._running.values())
        free = {kind: handler.concurrency - busy[kind] for kind, handler in self._handlers.items()}
        limits = {kind: most for kind, most in free.items() if most > 0}
        if not limits:
            return 0
        try:
            async with reading(self._pool) as connection:
                claimed = await jobs.claim(connection, limits, lease=self._lease, worker=self._name)
        except Exception as error:
            if not is_connection_failure(error):
                raise
            _log.warning("jobs cannot be claimed now", error=repr(error))
            return 0
        for job in claimed:
            _start_delay.labels(job.kind).observe(max(job.waited_seconds, 0))
            self._running[asyncio.create_task(self._attempt(job, self._handlers[job.kind]))] = job
        return len(claimed)

    def _collect(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            task.result()

    async def _attempt(self, job: Job, handler: JobHandler) -> None:
        log = _log.bind(job_id=str(job.id), kind=job.kind, business_key=job.business_key, attempt=job.attempt)
        with _seconds.labels(job.kind).time():
            try:
                outcome = await self._try(job, handler)
            except LeaseLost as error:
                outcome = "lease_lost"
                log.warning("another worker has taken the job over", error=str(error))
            except Exception as error:
                # The database is away: the lease runs out by itself, and the job is then tried again.
                if not is_connection_failure(error):
                    raise
                outcome = "unrecorded"
                log.warning("an attempt's end could not be recorded", error=repr(error))
        _attempts.labels(job.kind, outcome).inc()
        log.info("job attempt ended", outcome=outcome)

    async def _try(self, job: Job, handler: JobHandler) -> str:
        try:
            if job.abandoned >= MOST_ABANDONED:
                raise PermanentFailure(f"{job.abandoned} workers ended with this job in hand")
            async with asyncio.timeout(handler.timeout_seconds):
                await handler.run(job)
        except LeaseLost:
            raise
        except Exception as error:
            if is_database_failure(error):
                return await self._hand_back(job)
            return await self._fail(job, handler, error)
        return "succeeded"

    async def _hand_back(self, job: Job) -> str:
        async with transaction(self._pool) as connection:
            await jobs.hand_back(connection, job)
        return "handed_back"

    async def _fail(self, job: Job, handler: JobHandler, error: Exception) -> str:
        reason = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
        delay = handler.schedule.delay(job.failures + 1, self._retry_unit)
        async with transaction(self._pool) as connection:
            if delay is not None and not isinstance(error, PermanentFailure):
                await jobs.retry(connection, job, reason, delay)
                return "failed"
            await jobs.bury(connection, job, reason)
            await handler.on_dead(connection, job, reason)
        return "dead"

    async def _keep_leases(self) -> None:
        """Prolong the leases of running jobs, and free those of workers that no longer do."""
        while True:
            try:
                async with reading(self._pool) as connection:
                    await jobs.extend(connection, list(self._running.values()), self._lease)
                    released = await jobs.release_expired(connection)
                if released:
                    _log.warning("jobs were taken back from workers that ended", count=released)
            except Exception as error:
                if not is_connection_failure(error):
                    raise
                _log.warning("leases cannot be kept now", error=repr(error))
            await asyncio.sleep(self._lease.total_seconds() / 4)

    async def _hand_back_rest(self) -> None:
        left, self._running = self._running, {}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task, job in left.items():
            if task.cancelled():
                with contextlib.suppress(LeaseLost):
                    await self._hand_back(job)
