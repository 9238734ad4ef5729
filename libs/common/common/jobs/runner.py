"""Run one attempt at a job: the work, the transaction that ends the job, and what a failure leads to (ADR 7, 20)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog
from prometheus_client import Counter, Histogram

from common import failpoints
from common.database.failures import Failure, FailuresLogged, failure_of, is_connection_failure
from common.database.statements import Connection
from common.database.transactions import reading, transaction
from common.errors import PermanentFailure
from common.jobs import dead_letters, endings
from common.jobs.alerts import ALERT, Alert, Alerts
from common.jobs.attempt_work import attempt_work, note_subject
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job, LeaseLost, Postponed
from common.telemetry.tracing import note
from common.text.storable import LONGEST_ERROR, describe_error, storable

# A job whose worker died this often probably kills its workers; it becomes dead, for an operator to look at.
MOST_ABANDONED = 10
# After so many, an attempt that the database ended counts as a failed one.
MOST_SET_BACKS = 10
LONGEST_SET_BACK = 30
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0

_log = structlog.get_logger(__name__)
_attempts = Counter("job_attempts_total", "Attempts of jobs by outcome", ["kind", "outcome"])
_seconds = Histogram("job_attempt_seconds", "How long an attempt at a job took", ["kind"])


class JobRunner:
    """`service` is the service whose dead-letter topic gets the dead letters, and `alerts` the final failures."""

    def __init__(self, service: str, retry_unit_seconds: float, alerts: Alerts | None = None) -> None:
        self._service = service
        self._retry_unit = retry_unit_seconds
        self._alerts = alerts

    async def run(self, job: Job, handler: JobHandler) -> None:
        """Never raises, except for a cancellation from outside: one job must not end the worker that runs all others.

        Where the end of an attempt cannot be written, its lease expires by itself, and the job is then tried again.
        """
        with attempt_work(job):
            log = _log.bind(job_id=str(job.id), kind=job.kind, business_key=job.business_key, attempt=job.attempt)
            with _seconds.labels(job.kind).time():
                try:
                    outcome = await self._try(job, handler)
                except LeaseLost as error:
                    outcome = "lease_lost"
                    log.warning("another worker has taken the job over", error=describe_error(error))
                except Exception as error:
                    outcome = "unrecorded"
                    log.error("the end of an attempt could not be written", error=describe_error(error))
            _attempts.labels(job.kind, outcome).inc()
            note({"articurated.job.outcome": outcome})
            log.info("job attempt ended", outcome=outcome)

    async def complete(self, job: Job, handler: JobHandler) -> None:
        """Do the work, unless an earlier attempt did, and complete the job. Raises what the handler raises."""
        if not job.has_result:
            result = await handler.work(job)
            if handler.failpoint is not None:
                failpoints.hit(handler.failpoint)
            if not handler.finds_earlier_work:
                await _store_result(job, result)
            job.result, job.has_result = result, True
        try:
            async with transaction(job.pool) as connection:
                await endings.complete(connection, job)
                subject = await handler.on_success(connection, job)
        except LeaseLost:
            raise
        except Exception:
            if handler.finds_earlier_work:
                await _store_result(job, job.result)
            raise
        counted_as = handler.counted_as(job.result)
        if handler.counter is not None and counted_as is not None:
            handler.counter.labels(counted_as).inc()
        if subject is not None:
            note_subject(subject)
        if handler.success_message is not None and subject is not None:
            _log.info(handler.success_message, attempts=job.attempt, **subject.log_fields)

    async def bury(self, job: Job, handler: JobHandler, reason: str) -> None:
        """Make the job dead and write what follows. Raises what the handler raises."""
        async with transaction(job.pool) as connection:
            await endings.bury(connection, job, reason)
            subject = await handler.on_failure(connection, job, reason)
            note_subject(subject)
            await dead_letters.append_dead_job(connection, self._service, subject.record_key, job, reason)
            if self._alerts is not None and job.kind != ALERT:
                await self._alerts.enqueue(connection, _alert(job, handler, subject, reason), job.traceparent)
        if handler.counter is not None:
            handler.counter.labels("failed").inc()
        log = _log.bind(job_id=str(job.id), attempts=job.attempt, error=reason, **subject.log_fields)
        getattr(log, handler.failure_level)(handler.failure_message)

    async def _try(self, job: Job, handler: JobHandler) -> str:
        if job.given_up is not None:
            return await self._bury_or_give_up(job, handler, job.given_up)
        try:
            if job.abandoned >= MOST_ABANDONED:
                raise PermanentFailure(f"{job.abandoned} workers ended while they ran this job")
            async with asyncio.timeout(handler.timeout_seconds):
                await self.complete(job, handler)
        except BaseException as error:
            if _must_not_be_stored(error):
                raise
            if isinstance(error, Postponed):
                why, pause = describe_error(error), error.delay
                await _persist(job, lambda connection: endings.postpone(connection, job, why, pause))
                return "postponed"
            note({}, error)
            if not _is_set_back(job, error):
                return await self._fail(job, handler, error)
            reason, delay = describe_error(error), self._set_back_delay(job)
            await _persist(job, lambda connection: endings.set_back(connection, job, reason, delay))
            return "handed_back"
        return "succeeded"

    async def _fail(self, job: Job, handler: JobHandler, error: BaseException) -> str:
        reason = describe_error(error)
        delay = handler.retry_delay(job.failures + 1, self._retry_unit)
        if delay is None or _is_permanent(error):
            return await self._bury_or_give_up(job, handler, reason)
        await _persist(job, lambda connection: endings.retry(connection, job, reason, delay))
        return "failed"

    async def _bury_or_give_up(self, job: Job, handler: JobHandler, reason: str) -> str:
        """Where what follows cannot be written, a later claim does only that; where it never can, the job is dead
        without it."""
        try:
            await self.bury(job, handler, reason)
        except BaseException as error:
            if _must_not_be_stored(error):
                raise
            what_failed = describe_error(error)
            _log.error("what follows a dead job could not be written", job_id=str(job.id), error=what_failed)
            if is_connection_failure(error) or job.set_backs < MOST_SET_BACKS:
                delay = self._set_back_delay(job)
                await _persist(job, lambda connection: endings.give_up(connection, job, reason, delay))
                return "given_up"
            text = storable(f"{reason} (what follows could not be written: {what_failed})", LONGEST_ERROR)
            await _persist(job, lambda connection: endings.bury(connection, job, text))
        return "dead"

    def _set_back_delay(self, job: Job) -> timedelta:
        """1, 2, 4, … up to 30 seconds where the retry unit is a minute, else in proportion."""
        return timedelta(seconds=self._retry_unit / 60 * min(2 ** min(job.set_backs, 10), LONGEST_SET_BACK))


def _alert(job: Job, handler: JobHandler, subject: Subject, reason: str) -> Alert:
    details = {"job_id": str(job.id), "attempts": job.attempt, "error": reason}
    details |= {name: None if value is None else str(value) for name, value in subject.log_fields.items()}
    title = f"{job.kind}: {handler.failure_message}"
    return Alert(f"job-dead:{job.kind}", job.business_key, title, details, occurrence=f"attempt {job.attempt}")


async def _store_result(job: Job, result: Mapping[str, object]) -> None:
    await _persist(job, lambda connection: endings.store_result(connection, job, result))


async def _persist(job: Job, end: Callable[[Connection], Awaitable[None]]) -> None:
    """Call a function of `endings` until it succeeds, through any failure of the database. Raises `LeaseLost`."""
    pause = _SHORTEST_PAUSE
    while True:
        with FailuresLogged(_log.warning, "the end of a job waits for the database"):
            async with reading(job.pool) as connection:
                return await end(connection)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _is_set_back(job: Job, error: BaseException) -> bool:
    """Whether the database ended the attempt, and the next one repeats nothing outside, or not too often.

    Before the result is stored, it is unknown how much of the work was done: a lock or statement timeout is a failure
    like any other, and so is a database that is unavailable at every attempt. With a stored result only the database is
    left: then even a time limit of ours or the driver's is its failure.
    """
    if job.has_result:
        return is_connection_failure(error)
    return failure_of(error) is Failure.UNAVAILABLE and job.set_backs < MOST_SET_BACKS


def _must_not_be_stored(error: BaseException) -> bool:
    """The loss of the lease, and a cancellation from outside; a `CancelledError` that the work itself raised is a
    failure of the attempt."""
    task = asyncio.current_task()
    is_cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
    return is_cancelled or isinstance(error, LeaseLost)


def _is_permanent(error: BaseException) -> bool:
    return isinstance(error, PermanentFailure) or (
        isinstance(error, BaseExceptionGroup) and error.subgroup(PermanentFailure) is not None
    )
