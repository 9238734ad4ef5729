"""The job queue: enqueue, claim under a lease, wake and revive jobs (ADR 7).

Due times and leases follow the database's clock. Every claim raises the job's lease token; what a worker writes later
names the token of its claim, so that a worker that was paused past its lease can write nothing.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from common.database.notifier import Channel, announce
from common.database.statements import Connection, array_rows, prepare
from common.database.tables import job_attempts, jobs, paused_kinds
from common.database.transactions import Pool, reading
from common.jobs.job import Job, NewJob, is_in_state

_NEW = ("id", "kind", "business_key", "payload", "traceparent", "causation_id")
_ENQUEUE = prepare(
    insert(jobs)
    .values(
        {name: sa.bindparam(name) for name in _NEW}
        | {"due_at": sa.func.now() + sa.bindparam("due_in", type_=sa.Interval)}
    )
    .on_conflict_do_nothing(index_elements=[jobs.c.kind, jobs.c.business_key])
)

_limits = array_rows("limits", kind=sa.Text, limit=sa.Integer)
_due_of_kind = (
    sa.select(jobs.c.id)
    .where(is_in_state("ready"), jobs.c.due_at <= sa.func.now(), jobs.c.kind == _limits.c.kind)
    .order_by(jobs.c.due_at)
    .limit(_limits.c.limit)
    .with_for_update(skip_locked=True)
    .lateral("due_of_kind")
)
_is_paused = sa.exists().where(paused_kinds.c.kind == _limits.c.kind)
_due = sa.select(_due_of_kind.c.id).select_from(_limits.join(_due_of_kind, sa.true())).where(~_is_paused).cte("due")
_claimed = (
    sa.update(jobs)
    .where(jobs.c.id == _due.c.id)
    .values(
        state="running",
        attempts=jobs.c.attempts + 1,
        lease_token=jobs.c.lease_token + 1,
        leased_until=sa.func.now() + sa.bindparam("lease", type_=sa.Interval),
    )
    .returning(*jobs.c)
    .cte("claimed")
)
_attempted = insert(job_attempts).from_select(
    ["job_id", "number", "worker"],
    sa.select(_claimed.c.id, _claimed.c.attempts, sa.bindparam("worker", type_=sa.Text)),
)
_CLAIM = prepare(
    sa.select(_claimed, (sa.func.now() - _claimed.c.due_at).label("waited"))
    .order_by(_claimed.c.due_at)
    .add_cte(_attempted.cte("attempted"))
)
# The fields of `Job` with the names of their columns.
_SAME = (*_NEW, "failures", "abandoned", "lease_token", "set_backs", "given_up")


# A decision about a job ends all selections that named it as it was: they have its lease token.
NEXT_TOKEN: Mapping[str, Any] = {"lease_token": jobs.c.lease_token + 1}
# A replayed job has its whole schedule again; `discarded_…` say nothing of a job that is to be run.
NEW_ROUND: Mapping[str, Any] = {
    **NEXT_TOKEN,
    "state": "ready",
    "finished_at": None,
    "failures": 0,
    "abandoned": 0,
    "set_backs": 0,
    "given_up": None,
    "discarded_reason": None,
    "discarded_by": None,
}
is_replayable = sa.or_(is_in_state("dead"), is_in_state("discarded"))
_REVIVE = prepare(
    sa.update(jobs)
    .where(
        jobs.c.kind == sa.bindparam("kind", type_=sa.Text),
        jobs.c.business_key == sa.bindparam("key", type_=sa.Text),
        is_replayable,
    )
    .values({**NEW_ROUND, "due_at": sa.func.now()})
)
_WAKE = prepare(
    sa.update(jobs)
    .where(
        jobs.c.kind == sa.bindparam("kind", type_=sa.Text),
        jobs.c.business_key == sa.any_(sa.bindparam("keys", type_=sa.ARRAY(sa.Text))),
        is_in_state("ready"),
    )
    .values(due_at=sa.func.least(jobs.c.due_at, sa.func.now()))
)


async def enqueue(connection: Connection, *new_jobs: NewJob) -> None:
    """Add jobs, in this transaction. One whose kind and business key exist already changes nothing, in any state."""
    rows = [{"id": uuid4(), **{name: getattr(job, name) for name in (*_NEW[1:], "due_in")}} for job in new_jobs]
    await _ENQUEUE.execute_many(connection, rows)
    announce(connection, Channel.JOBS)


async def claim(pool: Pool, limits: Mapping[str, int], *, lease: timedelta, worker: str) -> list[Job]:
    """Claim due jobs of kinds that are not paused, up to its limit of each kind, the longest due first; each claim is a
    new attempt."""
    parameters = {"kinds": list(limits), "limits": list(limits.values()), "lease": lease, "worker": worker}
    async with reading(pool) as connection:
        rows = await _CLAIM.fetch_all(connection, **parameters)
    return [
        Job(
            pool,
            attempt=row["attempts"],
            waited_seconds=row["waited"].total_seconds(),
            result=row["result"] or {},
            has_result=row["result"] is not None,
            **{name: row[name] for name in _SAME},
        )
        for row in rows
    ]


async def replay_dead(connection: Connection, kind: str, business_key: str) -> bool:
    """Make a job that is dead or discarded ready, with its whole schedule, as something new is known of its object;
    False when no such job has this key."""
    announce(connection, Channel.JOBS)
    return await _REVIVE.execute(connection, kind=kind, key=business_key) == 1


async def wake(connection: Connection, kind: str, business_keys: Collection[str]) -> None:
    """Make jobs due that wait for a later time; those in another state are left alone."""
    await _WAKE.execute(connection, kind=kind, keys=list(business_keys))
    announce(connection, Channel.JOBS)
