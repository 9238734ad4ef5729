"""The job queue: enqueue, claim under a lease, extend and release leases, replay dead jobs (ADR 0007).

Due times and leases follow the database's clock. Every claim raises the job's lease token; what a worker writes later
names the token of its claim, so that a worker that was paused past its lease can write nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
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
from sqlalchemy.dialects.postgresql import insert

from common.database.statements import Connection, Record, Statement, prepare
from common.database.tables import job_attempts, jobs
from common.jobs.job import Job, NewJob


def is_in_state(name: str) -> ColumnElement[bool]:
    """The state as a literal in the statement, so that the planner uses the partial indexes."""
    return jobs.c.state == literal(name, literal_execute=True)


_NEW = ("id", "kind", "business_key", "payload", "traceparent", "causation_id")
_ENQUEUE = prepare(
    insert(jobs)
    .values({name: bindparam(name) for name in _NEW})
    .on_conflict_do_nothing(index_elements=[jobs.c.kind, jobs.c.business_key])
)

_limits = (
    func.unnest(bindparam("kinds", type_=ARRAY(Text)), bindparam("limits", type_=ARRAY(Integer)))
    .table_valued(column("kind", Text), column("most", Integer), name="limits")
    .render_derived()
)
_due_of_kind = (
    select(jobs.c.id)
    .where(is_in_state("ready"), jobs.c.due_at <= func.now(), jobs.c.kind == _limits.c.kind)
    .order_by(jobs.c.due_at)
    .limit(_limits.c.most)
    .with_for_update(skip_locked=True)
    .lateral("due_of_kind")
)
_due = select(_due_of_kind.c.id).select_from(_limits.join(_due_of_kind, true())).cte("due")
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

# A locked row (by the end of its own attempt, or by hand) is skipped, so that the other jobs keep their leases.
_running = (
    func.unnest(bindparam("ids", type_=ARRAY(Uuid)), bindparam("tokens", type_=ARRAY(BigInteger)))
    .table_valued(column("id", Uuid), column("token", BigInteger), name="running")
    .render_derived()
)
_extended = (
    select(jobs.c.id)
    .join(_running, and_(jobs.c.id == _running.c.id, jobs.c.lease_token == _running.c.token))
    .where(is_in_state("running"))
    .with_for_update(of=jobs, skip_locked=True)
    .cte("extended")
)
_EXTEND = prepare(
    update(jobs).where(jobs.c.id == _extended.c.id).values(leased_until=func.now() + bindparam("lease", type_=Interval))
)

_expired = (
    select(jobs.c.id)
    .where(
        is_in_state("running"),
        jobs.c.leased_until < func.now(),
        jobs.c.id != all_(bindparam("own", type_=ARRAY(Uuid))),
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


def _replay(*which: ColumnElement[bool]) -> Statement:
    new_round: dict[str, Any] = {"failures": 0, "abandoned": 0, "set_backs": 0, "given_up": None}
    ready = {"state": "ready", "due_at": func.now(), "finished_at": None}
    return prepare(update(jobs).where(*which, is_in_state("dead")).values(**ready, **new_round))


_REPLAY = _replay(jobs.c.id == bindparam("job_id", type_=Uuid))
_REPLAY_KEY = _replay(jobs.c.kind == bindparam("kind", type_=Text), jobs.c.business_key == bindparam("key", type_=Text))


async def enqueue(connection: Connection, *new_jobs: NewJob) -> None:
    """Add jobs, in this transaction. One whose kind and business key exist already changes nothing, in any state."""
    rows = [{"id": uuid4(), **{name: getattr(job, name) for name in _NEW[1:]}} for job in new_jobs]
    await _ENQUEUE.execute_many(connection, rows)


async def claim(connection: Connection, limits: Mapping[str, int], *, lease: timedelta, worker: str) -> list[Job]:
    """Claim due jobs, up to its limit of each kind, the longest due first; each claim is a new attempt."""
    rows = await _CLAIM.fetch_all(
        connection, kinds=list(limits), limits=list(limits.values()), lease=lease, worker=worker
    )
    return [_to_job(row) for row in rows]


def _to_job(row: Record) -> Job:
    return Job(
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


async def extend(connection: Connection, running: Sequence[Job], lease: timedelta) -> None:
    """Extend the leases of running jobs; a lease that was lost stays lost."""
    tokens = [job.lease_token for job in running]
    await _EXTEND.execute(connection, ids=[job.id for job in running], tokens=tokens, lease=lease)


async def release_expired(connection: Connection, own: Sequence[Job] = ()) -> int:
    """Make jobs with an expired lease claimable again, except the caller's own; returns how many."""
    return await _RELEASE_EXPIRED.execute(connection, own=[job.id for job in own])


async def replay(connection: Connection, job_id: UUID) -> bool:
    """Make a dead job ready, with its whole schedule; False when no dead job has this id."""
    return await _REPLAY.execute(connection, job_id=job_id) == 1


async def replay_dead(connection: Connection, kind: str, business_key: str) -> bool:
    """As `replay`, by the job's kind and business key."""
    return await _REPLAY_KEY.execute(connection, kind=kind, key=business_key) == 1
