"""What operators do with jobs: find those to act on, replay and discard one or many (ADR 44)."""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.database.notifier import Channel, announce
from common.database.statements import Connection, Record, Statement, array_rows, prepare
from common.database.tables import jobs
from common.jobs.filters import JobFilter, conditions
from common.jobs.job import is_in_state
from common.jobs.queue import NEW_ROUND, NEXT_TOKEN, is_replayable

# A call changes at most so many: it is one transaction, with an audit row for each job.
MOST_JOBS = 10_000


_LOCK = prepare(
    sa.select(jobs.c.state, jobs.c.lease_token)
    .where(jobs.c.id == sa.bindparam("job_id", type_=sa.Uuid))
    .with_for_update()
)


async def lock(connection: Connection, job_id: UUID) -> Record | None:
    """The `state` and `lease_token` of a job, its row locked until the transaction ends; None when there is none."""
    return await _LOCK.fetch_one(connection, job_id=job_id)


async def select(connection: Connection, chosen: JobFilter) -> list[Record]:
    """The jobs of a filter, the earliest failed first and at most `MOST_JOBS`: `id`, `kind`, `cause` and `lease_token`,
    which tells whether a job was claimed, replayed or discarded since."""
    return await _selection(chosen.state, chosen.names).fetch_all(connection, **chosen.parameters)


async def count(connection: Connection, chosen: JobFilter) -> int:
    """How many jobs a filter has, without a limit."""
    number: int = await _number(chosen.state, chosen.names).fetch_value(connection, **chosen.parameters)
    return number


@lru_cache
def _selection(state: str | None, names: frozenset[str]) -> Statement:
    return prepare(
        sa.select(jobs.c.id, jobs.c.lease_token, jobs.c.kind, jobs.c.cause)
        .where(*conditions(state, names))
        .order_by(jobs.c.failed_at, jobs.c.id)
        .limit(sa.literal_column(str(MOST_JOBS)))
    )


@lru_cache
def _number(state: str | None, names: frozenset[str]) -> Statement:
    return prepare(sa.select(sa.func.count()).select_from(jobs).where(*conditions(state, names)))


_wanted = array_rows("wanted", id=sa.Uuid, token=sa.BigInteger, pause=sa.Interval)


def _change(is_allowed: sa.ColumnElement[bool], values: Mapping[str, Any]) -> Statement:
    """Locked in the order of their ids, so that two calls wait for each other instead of a deadlock. A state that
    changed during the wait is seen."""
    locked = (
        sa.select(jobs.c.id, jobs.c.state, _wanted.c.pause)
        .join(_wanted, sa.and_(_wanted.c.id == jobs.c.id, _wanted.c.token == jobs.c.lease_token))
        .where(is_allowed)
        .order_by(jobs.c.id)
        .with_for_update(of=jobs)
        .cte("locked")
    )
    due = {"due_at": sa.func.now() + locked.c.pause} if values is NEW_ROUND else {}
    changed = sa.update(jobs).where(jobs.c.id == locked.c.id).values({**values, **due})
    return prepare(changed.returning(jobs.c.id, jobs.c.kind, jobs.c.cause, jobs.c.due_at, locked.c.state))


_REPLAY = _change(is_replayable, NEW_ROUND)
_DISCARD = _change(
    sa.or_(is_in_state("dead"), is_in_state("ready")),
    {
        **NEXT_TOKEN,
        "state": "discarded",
        "finished_at": sa.func.now(),
        **{name: sa.bindparam(name) for name in ("discarded_reason", "discarded_by")},
    },
)


async def replay(connection: Connection, wanted: Mapping[UUID, int], pause: timedelta = timedelta(0)) -> list[Record]:
    """Make those ready that are dead or discarded and still have their lease token, each due `pause` after the one
    before it. Their rows with `id`, `kind`, `cause`, `due_at` and the `state` before; they stay locked until the
    transaction ends."""
    announce(connection, Channel.JOBS)
    return await _REPLAY.fetch_all(connection, **_columns(wanted, pause))


async def discard(connection: Connection, wanted: Mapping[UUID, int], reason: str, by: str) -> list[Record]:
    """Let those that are dead or ready never be run. Their rows, as `replay` gives them."""
    return await _DISCARD.fetch_all(connection, **_columns(wanted), discarded_reason=reason, discarded_by=by)


def _columns(wanted: Mapping[UUID, int], pause: timedelta = timedelta(0)) -> dict[str, object]:
    pauses = [number * pause for number in range(len(wanted))]
    return {"ids": list(wanted), "tokens": list(wanted.values()), "pauses": pauses}
