"""How an attempt ends in the database: each statement is fenced by the lease token and raises `LeaseLost`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from common.database.statements import Connection, Statement, prepare
from common.database.tables import job_attempts, jobs
from common.jobs.job import Job, has_lease
from common.text.causes import cause_of
from common.text.storable import LONGEST_ERROR, storable, storable_json

_later = sa.func.clock_timestamp() + sa.bindparam("delay", type_=sa.Interval)
_error = sa.bindparam("error", type_=sa.Text)


def _end(outcome: str, **values: Any) -> Statement:
    """The job's next state and the outcome of its attempt."""
    ended_job = (
        sa.update(jobs).where(has_lease).values(leased_until=None, **values).returning(jobs.c.id).cte("ended_job")
    )
    return prepare(
        sa.update(job_attempts)
        .where(job_attempts.c.job_id == ended_job.c.id, job_attempts.c.number == sa.bindparam("attempt"))
        .values(outcome=outcome, finished_at=sa.func.clock_timestamp(), error=_error)
    )


_this_error = {"last_error": _error, "cause": sa.bindparam("cause"), "failed_at": sa.func.clock_timestamp()}
_one_failure_more = {"failures": jobs.c.failures + 1, **_this_error}
_one_set_back_more = {"set_backs": jobs.c.set_backs + 1, "due_at": _later, **_this_error}
_COMPLETE = _end("succeeded", state="done", finished_at=sa.func.now(), last_error=None)
_RETRY = _end("failed", state="ready", due_at=_later, **_one_failure_more)
_BURY = _end("failed", state="dead", finished_at=sa.func.now(), **_one_failure_more)
_HAND_BACK = _end("handed_back", state="ready")
_SET_BACK = _end("handed_back", state="ready", **_one_set_back_more)
_POSTPONE = _end("handed_back", state="ready", due_at=_later, **_this_error)
_GIVE_UP = _end("failed", state="ready", given_up=_error, **_one_set_back_more)
# Only the job's own row, which nothing else locks for long.
_STORE_RESULT = prepare(sa.update(jobs).where(has_lease).values(result=sa.bindparam("result", type_=JSONB)))


async def store_result(connection: Connection, job: Job, result: Mapping[str, object]) -> None:
    """Store what the outside work returned, before the attempt ends (ADR 20)."""
    job.require_lease(await _STORE_RESULT.execute(connection, **job.lease, result=storable_json(result)))


async def complete(connection: Connection, job: Job) -> None:
    """The job is done."""
    await _execute(_COMPLETE, connection, job)


async def retry(connection: Connection, job: Job, error: str, delay: timedelta) -> None:
    """The attempt failed; the job is due again after `delay`."""
    await _execute(_RETRY, connection, job, **_failure(error), delay=delay)


async def bury(connection: Connection, job: Job, error: str) -> None:
    """The job failed permanently: it is dead until an operator replays it."""
    await _execute(_BURY, connection, job, **_failure(error))


async def hand_back(connection: Connection, job: Job) -> None:
    """The worker is stopping: the job is ready at once, and no failure is counted."""
    await _execute(_HAND_BACK, connection, job)


async def set_back(connection: Connection, job: Job, error: str, delay: timedelta) -> None:
    """The database ended the attempt: the job is due again after `delay`; counted, but not as a failure."""
    await _execute(_SET_BACK, connection, job, **_failure(error), delay=delay)


async def postpone(connection: Connection, job: Job, reason: str, delay: timedelta) -> None:
    """The work cannot be done yet: the job is due again after `delay`, and nothing is counted."""
    await _execute(_POSTPONE, connection, job, **_failure(reason), delay=delay)


async def give_up(connection: Connection, job: Job, error: str, delay: timedelta) -> None:
    """The job failed permanently, but its consequences could not be written yet: the next claim, after `delay`, does
    nothing else."""
    await _execute(_GIVE_UP, connection, job, **_failure(error), delay=delay)


def _failure(error: str) -> dict[str, object]:
    """The parameters of a failure."""
    text = storable(error, LONGEST_ERROR)
    return {"error": text, "cause": cause_of(text)}


async def _execute(statement: Statement, connection: Connection, job: Job, **parameters: object) -> None:
    values = {"attempt": job.attempt, "error": None, **parameters}
    job.require_lease(await statement.execute(connection, **job.lease, **values))
