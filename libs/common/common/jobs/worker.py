"""Runs jobs: claims what is due, keeps the leases while it works, and decides what follows a failure (ADR 0007)."""

import asyncio
import os
import socket
import time
from collections import Counter as Counts
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from prometheus_client import Counter, Histogram

from common.database.failures import Failure, failure_of, is_connection_failure
from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.errors import PermanentFailure
from common.jobs import queue
from common.jobs.outside_work import persist
from common.jobs.queue import Job, LeaseLost, Schedule
from common.text.storable import LONGEST_ERROR, describe_error, storable

# A job whose worker died this often takes its workers with it; it is buried for an operator to look at.
MOST_ABANDONED = 10
SHORTEST_IDLE, LONGEST_IDLE = 0.01, 0.15
# After so many, an attempt that the database ended counts as a failed one.
MOST_SET_BACKS = 10
LONGEST_SET_BACK = 30

_log = structlog.get_logger(__name__)
_attempts = Counter("job_attempts_total", "Attempts at jobs by how they ended", ["kind", "outcome"])
_seconds = Histogram("job_attempt_seconds", "How long an attempt at a job took", ["kind"])
_start_delay = Histogram("job_start_delay_seconds", "From a job's due time to the start of its attempt", ["kind"])


@dataclass(frozen=True, slots=True)
class JobHandler:
    """How one kind of job is done.

    `run` does the outside work through `outside_work.once`, then commits what follows together with `queue.complete` in
    one transaction of its own. `on_dead` writes what follows the final failure (events, a dead letter) in the
    transaction that buries the job. An attempt that takes longer than `timeout_seconds` has failed.
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
                claimed = await queue.claim(connection, limits, lease=self._lease, worker=self._name)
        except Exception as error:
            if not is_connection_failure(error):
                raise
            _log.warning("jobs cannot be claimed now", error=describe_error(error))
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
        """Never raises, but for a cancellation from outside: one job must not end the worker that runs all the others.

        Where an attempt's end cannot be recorded, its lease runs out by itself, and the job is then tried again.
        """
        log = _log.bind(job_id=str(job.id), kind=job.kind, business_key=job.business_key, attempt=job.attempt)
        with _seconds.labels(job.kind).time():
            try:
                outcome = await self._try(job, handler)
            except LeaseLost as error:
                outcome = "lease_lost"
                log.warning("another worker has taken the job over", error=describe_error(error))
            except Exception as error:
                outcome = "unrecorded"
                log.error("an attempt's end could not be recorded", error=describe_error(error))
        _attempts.labels(job.kind, outcome).inc()
        log.info("job attempt ended", outcome=outcome)

    async def _try(self, job: Job, handler: JobHandler) -> str:
        if job.given_up is not None:
            return await self._bury(job, handler, job.given_up)
        try:
            if job.abandoned >= MOST_ABANDONED:
                raise PermanentFailure(f"{job.abandoned} workers ended with this job in hand")
            async with asyncio.timeout(handler.timeout_seconds):
                await handler.run(job)
        except LeaseLost:
            raise
        except BaseException as error:
            if _is_cancelled_from_outside(error):
                raise
            if _is_set_back(job, error):
                return await self._set_back(job, error)
            return await self._fail(job, handler, error)
        return "succeeded"

    async def _set_back(self, job: Job, error: BaseException) -> str:
        reason, delay = describe_error(error), self._set_back_delay(job)

        async def set_back() -> None:
            async with transaction(self._pool) as connection:
                await queue.set_back(connection, job, reason, delay)

        await persist(set_back)
        return "handed_back"

    async def _fail(self, job: Job, handler: JobHandler, error: BaseException) -> str:
        reason = describe_error(error)
        delay = handler.schedule.delay(job.failures + 1, self._retry_unit)
        if delay is None or _is_permanent(error):
            return await self._bury(job, handler, reason)

        async def retry() -> None:
            async with transaction(self._pool) as connection:
                await queue.retry(connection, job, reason, delay)

        await persist(retry)
        return "failed"

    async def _bury(self, job: Job, handler: JobHandler, reason: str) -> str:
        """The job is dead, and what follows is written; where that fails, it is noted on the job that only this is left
        to do. What follows and never can be written does not keep the job from being seen as dead."""
        try:
            async with transaction(self._pool) as connection:
                await queue.bury(connection, job, reason)
                await handler.on_dead(connection, job, reason)
        except LeaseLost:
            raise
        except BaseException as error:
            if _is_cancelled_from_outside(error):
                raise
            return await self._give_up(job, reason, error)
        return "dead"

    async def _give_up(self, job: Job, reason: str, error: BaseException) -> str:
        is_hopeless = not is_connection_failure(error) and job.set_backs >= MOST_SET_BACKS
        delay = self._set_back_delay(job)
        what_failed = describe_error(error)
        _log.error("what follows a dead job could not be written", job_id=str(job.id), kind=job.kind, error=what_failed)

        async def give_up() -> None:
            async with transaction(self._pool) as connection:
                if is_hopeless:
                    told = storable(f"{reason} (what follows could not be written: {what_failed})", LONGEST_ERROR)
                    await queue.bury(connection, job, told)
                else:
                    await queue.give_up(connection, job, reason, delay)

        await persist(give_up)
        return "dead" if is_hopeless else "given_up"

    def _set_back_delay(self, job: Job) -> timedelta:
        """1, 2, 4, … up to 30 seconds where the retry unit is a minute, else in proportion."""
        return timedelta(seconds=self._retry_unit / 60 * min(2 ** min(job.set_backs, 10), LONGEST_SET_BACK))

    async def _keep_leases(self) -> None:
        """Prolong the leases of running jobs, and free those of workers that no longer do.

        A lease that ran out while the database was away says nothing about its worker, which then gets the time of one
        more lease to prolong it.
        """
        release_from = 0.0
        while True:
            try:
                mine = list(self._running.values())
                async with reading(self._pool) as connection:
                    await queue.extend(connection, mine, self._lease)
                    may_release = time.monotonic() >= release_from
                    released = await queue.release_expired(connection, mine) if may_release else 0
                if released:
                    _log.warning("jobs were taken back from workers that ended", count=released)
            except Exception as error:
                if not is_connection_failure(error):
                    raise
                release_from = time.monotonic() + self._lease.total_seconds()
                _log.warning("leases cannot be kept now", error=describe_error(error))
            await asyncio.sleep(self._lease.total_seconds() / 4)

    async def _hand_back_rest(self) -> None:
        left, self._running = self._running, {}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for task, job in left.items():
            if task.cancelled():
                await self._hand_back(job)

    async def _hand_back(self, job: Job) -> None:
        try:
            async with transaction(self._pool) as connection:
                await queue.hand_back(connection, job)
        except LeaseLost:
            pass
        except Exception as error:
            if not is_connection_failure(error):
                raise
            _log.warning("a job was not handed back; its lease will end", error=describe_error(error))


def _is_set_back(job: Job, error: BaseException) -> bool:
    """Whether the database ended the attempt, and the next one will repeat nothing outside, or not too often.

    A lock or statement timeout is a failure like any other until the outside work's result is recorded: nobody knows
    how far the work came. That the database was away is not the job's fault, but when it seems to be so at every
    attempt, it is counted as a failure. Once the result is recorded, only the database is left outside: then a time
    limit of ours or of the driver's is its doing too.
    """
    if job.result is not None:
        return is_connection_failure(error)
    return failure_of(error) is Failure.UNAVAILABLE and job.set_backs < MOST_SET_BACKS


def _is_cancelled_from_outside(error: BaseException) -> bool:
    """Unlike a `CancelledError` that the work itself let out: that is a failure of the attempt."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _is_permanent(error: BaseException) -> bool:
    return isinstance(error, PermanentFailure) or (
        isinstance(error, BaseExceptionGroup) and error.subgroup(PermanentFailure) is not None
    )
