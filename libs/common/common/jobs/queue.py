"""Slow or outside work: a row that says what is to be done, claimed under a lease, tried until done or dead (ADR 0007).

Due times and leases go by the database's clock. Every claim raises the job's lease token, and whatever a worker writes
names the token it was given: a worker that was paused past its lease finds its write refused (`LeaseLost`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Interval,
    Text,
    Uuid,
    all_,
    and_,
    bindparam,
    column,
    func,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from common.database.statements import Connection, Statement, prepare
from common.database.tables import job_attempts, jobs
from common.text.storable import LONGEST_ERROR, storable, storable_json


class LeaseLost(Exception):
    """Somebody else has the job by now; nothing of this attempt may be written."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits after the first, second, … failure, in retry units (a minute, unless the setting says otherwise)."""

    delays: tuple[int, ...]

    def delay(self, failures: int, unit_seconds: float) -> timedelta | None:
        """How long to wait after this many failures; None when that was the last try."""
        return timedelta(seconds=self.delays[failures - 1] * unit_seconds) if failures <= len(self.delays) else None


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work to be done once per (kind, business key), for ever, however often it is asked for."""

    kind: str
    business_key: str
    payload: Mapping[str, Any]
    traceparent: str
    causation_id: str | None = None


@dataclass(slots=True)
class Job:
    """A claimed job. `attempt` counts claims from 1, `abandoned` those after which nothing was heard of the worker, and
    `set_backs` those that the database ended; `waited_seconds` is how long after its due time it was claimed.

    `result` is what its outside work came to, once that is recorded; `given_up` why there will be no further try.
    """

    id: UUID
    kind: str
    business_key: str
    payload: Mapping[str, Any]
    failures: int
    abandoned: int
    attempt: int
    lease_token: int
    waited_seconds: float
    traceparent: str
    causation_id: str | None
    set_backs: int = 0
    result: Mapping[str, Any] | None = None
    given_up: str | None = None


def _state(name: str) -> Any:
    """Spelled out in the statement, so that the partial indexes are seen."""
    return literal(name, literal_execute=True)


_NEW = ("id", "kind", "business_key", "payload", "traceparent", "causation_id")
_ENQUEUE = prepare(
    insert(jobs)
    .values({name: bindparam(name) for name in _NEW})
    .on_conflict_do_nothing(index_elements=[jobs.c.kind, jobs.c.business_key])
)

_wanted = (
    func.unnest(bindparam("kinds", type_=ARRAY(Text)), bindparam("limits", type_=ARRAY(Integer)))
    .table_valued(column("kind", Text), column("most", Integer), name="wanted")
    .render_derived()
)
_due_of_kind = (
    select(jobs.c.id)
    .where(jobs.c.state == _state("ready"), jobs.c.due_at <= func.now(), jobs.c.kind == _wanted.c.kind)
    .order_by(jobs.c.due_at)
    .limit(_wanted.c.most)
    .with_for_update(skip_locked=True)
    .lateral("due_of_kind")
)
_due = select(_due_of_kind.c.id).select_from(_wanted.join(_due_of_kind, true())).cte("due")
_claimed = (
    update(jobs)
    .where(jobs.c.id == _due.c.id)
    .values(
        state="running",
        attempts=jobs.c.attempts + 1,
        lease_token=jobs.c.lease_token + 1,
        leased_until=func.now() + bindparam("lease", type_=Interval),
    )
    .returning(*jobs.c)
    .cte("claimed")
)
_attempted = insert(job_attempts).from_select(
    ["job_id", "number", "worker"],
    select(_claimed.c.id, _claimed.c.attempts, bindparam("worker", type_=Text)),
)
_CLAIM = prepare(
    select(_claimed, (func.now() - _claimed.c.due_at).label("waited"))
    .order_by(_claimed.c.due_at)
    .add_cte(_attempted.cte("attempted"))
)

_held = and_(
    jobs.c.id == bindparam("job_id", type_=Uuid),
    jobs.c.lease_token == bindparam("token", type_=BigInteger),
    jobs.c.state == _state("running"),
)


def _settle(outcome: str, **values: Any) -> Statement:
    """The job's next state and its attempt's outcome, both only for whoever still holds the lease."""
    settled = update(jobs).where(_held).values(leased_until=None, **values).returning(jobs.c.id).cte("settled")
    return prepare(
        update(job_attempts)
        .where(job_attempts.c.job_id == settled.c.id, job_attempts.c.number == bindparam("attempt"))
        .values(outcome=outcome, finished_at=func.clock_timestamp(), error=bindparam("error", type_=Text))
    )


_delayed = func.clock_timestamp() + bindparam("delay", type_=Interval)
_error = bindparam("error", type_=Text)
_COMPLETE = _settle("succeeded", state="done", finished_at=func.now(), last_error=None)
_RETRY = _settle("failed", state="ready", failures=jobs.c.failures + 1, due_at=_delayed, last_error=_error)
_BURY = _settle("failed", state="dead", failures=jobs.c.failures + 1, finished_at=func.now(), last_error=_error)
_HAND_BACK = _settle("handed_back", state="ready")
_SET_BACK = _settle("handed_back", state="ready", set_backs=jobs.c.set_backs + 1, due_at=_delayed, last_error=_error)
_GIVE_UP = _settle(
    "failed", state="ready", set_backs=jobs.c.set_backs + 1, due_at=_delayed, last_error=_error, given_up=_error
)
# Only the job's own row, which nobody else locks for long.
_RECORD_RESULT = prepare(update(jobs).where(_held).values(result=bindparam("result", type_=JSONB)))

# A row that is locked (by its own attempt's end, or by hand) must not cost the other jobs their leases.
_given = (
    func.unnest(bindparam("ids", type_=ARRAY(Uuid)), bindparam("tokens", type_=ARRAY(BigInteger)))
    .table_valued(column("id", Uuid), column("token", BigInteger), name="given")
    .render_derived()
)
_kept = (
    select(jobs.c.id)
    .join(_given, and_(jobs.c.id == _given.c.id, jobs.c.lease_token == _given.c.token))
    .where(jobs.c.state == _state("running"))
    .with_for_update(of=jobs, skip_locked=True)
    .cte("kept")
)
_EXTEND = prepare(
    update(jobs).where(jobs.c.id == _kept.c.id).values(leased_until=func.now() + bindparam("lease", type_=Interval))
)

_expired = (
    select(jobs.c.id)
    .where(
        jobs.c.state == _state("running"),
        jobs.c.leased_until < func.now(),
        jobs.c.id != all_(bindparam("mine", type_=ARRAY(Uuid))),
    )
    .with_for_update(skip_locked=True)
    .cte("expired")
)
_released = (
    update(jobs)
    .where(jobs.c.id == _expired.c.id)
    .values(state="ready", leased_until=None, abandoned=jobs.c.abandoned + 1)
    .returning(jobs.c.id, jobs.c.attempts)
    .cte("released")
)
_RELEASE_EXPIRED = prepare(
    update(job_attempts)
    .where(job_attempts.c.job_id == _released.c.id, job_attempts.c.number == _released.c.attempts)
    .values(outcome="abandoned", finished_at=func.now(), error="the worker stopped before it was done")
)
_REPLAY = prepare(
    update(jobs)
    .where(jobs.c.id == bindparam("job_id", type_=Uuid), jobs.c.state == _state("dead"))
    .values(state="ready", failures=0, abandoned=0, set_backs=0, given_up=None, due_at=func.now(), finished_at=None)
)


async def enqueue(connection: Connection, *new_jobs: NewJob) -> None:
    """Ask for work, in this transaction. Work that was asked for before stays as it is, whatever its state."""
    await _ENQUEUE.execute_many(
        connection,
        [
            {
                "id": uuid4(),
                "kind": job.kind,
                "business_key": job.business_key,
                "payload": job.payload,
                "traceparent": job.traceparent,
                "causation_id": job.causation_id,
            }
            for job in new_jobs
        ],
    )


async def claim(connection: Connection, limits: Mapping[str, int], *, lease: timedelta, worker: str) -> list[Job]:
    """Take due jobs, up to its limit of each kind, the longest due first; each claim is a new attempt."""
    rows = await _CLAIM.fetch_all(
        connection, kinds=list(limits), limits=list(limits.values()), lease=lease, worker=worker
    )
    return [
        Job(
            id=row["id"],
            kind=row["kind"],
            business_key=row["business_key"],
            payload=row["payload"],
            failures=row["failures"],
            abandoned=row["abandoned"],
            attempt=row["attempts"],
            lease_token=row["lease_token"],
            waited_seconds=row["waited"].total_seconds(),
            traceparent=row["traceparent"],
            causation_id=row["causation_id"],
            set_backs=row["set_backs"],
            result=row["result"],
            given_up=row["given_up"],
        )
        for row in rows
    ]


async def complete(connection: Connection, job: Job) -> None:
    """The job is done; to be called in the transaction that stores its result. Raises `LeaseLost`."""
    await _settled(_COMPLETE, connection, job, error=None)


async def retry(connection: Connection, job: Job, error: str, delay: timedelta) -> None:
    """The attempt failed; the job is due again after `delay`. Raises `LeaseLost`."""
    await _settled(_RETRY, connection, job, error=error, delay=delay)


async def bury(connection: Connection, job: Job, error: str) -> None:
    """The job failed for good and waits, dead, for an operator. Raises `LeaseLost`."""
    await _settled(_BURY, connection, job, error=error)


async def hand_back(connection: Connection, job: Job) -> None:
    """The worker is stopping: somebody else may take the job at once, and no failure is counted. Raises `LeaseLost`."""
    await _settled(_HAND_BACK, connection, job, error=None)


async def set_back(connection: Connection, job: Job, error: str, delay: timedelta) -> None:
    """The database ended the attempt: due again after `delay`; counted, but not as a failure. Raises `LeaseLost`."""
    await _settled(_SET_BACK, connection, job, error=error, delay=delay)


async def give_up(connection: Connection, job: Job, error: str, delay: timedelta) -> None:
    """There will be no further try, but what follows that could not be written yet: the next claim, after `delay`, is
    to bury the job. Raises `LeaseLost`."""
    await _settled(_GIVE_UP, connection, job, error=error, delay=delay)


async def record_result(connection: Connection, job: Job, result: Mapping[str, Any]) -> None:
    """The outside work is done, and came to this. Raises `LeaseLost`."""
    if not await _RECORD_RESULT.execute(connection, job_id=job.id, token=job.lease_token, result=storable_json(result)):
        raise _lease_lost(job)


async def _settled(step: Statement, connection: Connection, job: Job, *, error: str | None, **parameters: Any) -> None:
    parameters |= {"job_id": job.id, "token": job.lease_token, "attempt": job.attempt}
    told = None if error is None else storable(error, LONGEST_ERROR)
    settled = await step.execute(connection, error=told, **parameters)
    if settled == 0:
        raise _lease_lost(job)


def _lease_lost(job: Job) -> LeaseLost:
    return LeaseLost(f"job {job.id} was taken over after attempt {job.attempt} began")


async def extend(connection: Connection, running: Sequence[Job], lease: timedelta) -> None:
    """Prolong the leases of jobs that are still being worked on; a lease already lost stays lost."""
    tokens = [job.lease_token for job in running]
    await _EXTEND.execute(connection, ids=[job.id for job in running], tokens=tokens, lease=lease)


async def release_expired(connection: Connection, mine: Sequence[Job] = ()) -> int:
    """Make jobs whose worker died claimable again, but for those that the caller is working on; returns how many."""
    return await _RELEASE_EXPIRED.execute(connection, mine=[job.id for job in mine])


async def replay(connection: Connection, job_id: UUID) -> bool:
    """Give a dead job a new round of tries; False when there is no dead job of this id."""
    return await _REPLAY.execute(connection, job_id=job_id) == 1
