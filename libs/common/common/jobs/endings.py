"""How an attempt ends in the database: each statement is fenced by the lease token and raises `LeaseLost`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, Interval, Text, Uuid, and_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import JSONB

from common.database.statements import Connection, Statement, prepare
from common.database.tables import job_attempts, jobs
from common.jobs.job import Job, LeaseLost, Result
from common.jobs.queue import is_in_state
from common.text.storable import LONGEST_ERROR, storable, storable_json

_is_ours = and_(
    jobs.c.id == bindparam("job_id", type_=Uuid),
    jobs.c.lease_token == bindparam("token", type_=BigInteger),
    is_in_state("running"),
)


def _end(outcome: str, **values: Any) -> Statement:
    """The job's next state and the outcome of its attempt."""
    ended = update(jobs).where(_is_ours).values(leased_until=None, **values).returning(jobs.c.id).cte("ended")
    return prepare(
        update(job_attempts)
        .where(job_attempts.c.job_id == ended.c.id, job_attempts.c.number == bindparam("attempt"))
        .values(outcome=outcome, finished_at=func.clock_timestamp(), error=bindparam("error", type_=Text))
    )


_later = func.clock_timestamp() + bindparam("delay", type_=Interval)
_error = bindparam("error", type_=Text)
_COMPLETE = _end("succeeded", state="done", finished_at=func.now(), last_error=None)
_RETRY = _end("failed", state="ready", failures=jobs.c.failures + 1, due_at=_later, last_error=_error)
_BURY = _end("failed", state="dead", failures=jobs.c.failures + 1, finished_at=func.now(), last_error=_error)
_HAND_BACK = _end("handed_back", state="ready")
_SET_BACK = _end("handed_back", state="ready", set_backs=jobs.c.set_backs + 1, due_at=_later, last_error=_error)
_GIVE_UP = _end(
    "failed", state="ready", set_backs=jobs.c.set_backs + 1, due_at=_later, last_error=_error, given_up=_error
)
# Only the job's own row, which nothing else locks for long.
_RECORD_RESULT = prepare(update(jobs).where(_is_ours).values(result=bindparam("result", type_=JSONB)))
_HOLD = prepare(select(jobs.c.id).where(_is_ours).with_for_update())


async def record_result(connection: Connection, job: Job, result: Result) -> None:
    """Store what the outside work returned, before the attempt ends (ADR 0020)."""
    _require_lease(job, await _RECORD_RESULT.execute(connection, **_fence(job), result=storable_json(result)))


async def hold(connection: Connection, job: Job) -> None:
    """Keep the job from being taken over until the transaction ends."""
    _require_lease(job, await _HOLD.fetch_value(connection, **_fence(job)))


async def complete(connection: Connection, job: Job) -> None:
    """The job is done."""
    await _execute(_COMPLETE, connection, job, error=None)


async def retry(connection: Connection, job: Job, error: str, delay: timedelta) -> None:
    """The attempt failed; the job is due again after `delay`."""
    await _execute(_RETRY, connection, job, error=error, delay=delay)


async def bury(connection: Connection, job: Job, error: str) -> None:
    """The job failed permanently: it is dead until an operator replays it."""
    await _execute(_BURY, connection, job, error=error)


async def hand_back(connection: Connection, job: Job) -> None:
    """The worker is stopping: the job is ready at once, and no failure is counted."""
    await _execute(_HAND_BACK, connection, job, error=None)


async def set_back(connection: Connection, job: Job, error: str, delay: timedelta) -> None:
    """The database ended the attempt: the job is due again after `delay`; counted, but not as a failure."""
    await _execute(_SET_BACK, connection, job, error=error, delay=delay)


async def give_up(connection: Connection, job: Job, error: str, delay: timedelta) -> None:
    """The job failed permanently, but its consequences could not be written yet: the next claim, after `delay`, does
    nothing else."""
    await _execute(_GIVE_UP, connection, job, error=error, delay=delay)


async def _execute(
    statement: Statement, connection: Connection, job: Job, *, error: str | None, **delay: timedelta
) -> None:
    text = None if error is None else storable(error, LONGEST_ERROR)
    _require_lease(job, await statement.execute(connection, **_fence(job), attempt=job.attempt, error=text, **delay))


def _fence(job: Job) -> Mapping[str, Any]:
    return {"job_id": job.id, "token": job.lease_token}


def _require_lease(job: Job, row: object) -> None:
    """`row`: the number of rows that were written, or the row that was read."""
    if not row:
        raise LeaseLost(f"job {job.id} was taken over after attempt {job.attempt} began")
