"""The kinds of jobs: how many jobs of each are in which state, and the pausing of a kind (ADR 44)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from common.database.statements import Connection, Record, prepare
from common.database.tables import jobs, paused_kinds
from common.jobs.job import is_in_state

_RECENT = sa.text("interval '5 minutes'")

failed_states = jobs.c.state.in_([sa.literal(each, literal_execute=True) for each in ("ready", "running", "dead")])
# The jobs that failed and are not done, with the condition of the partial index that has all these columns.
failed = (
    sa.select(
        *(jobs.c.kind, jobs.c.cause, jobs.c.failed_at, jobs.c.id),
        (jobs.c.state == sa.literal("dead", literal_execute=True)).label("is_dead"),
    )
    .where(jobs.c.last_error.is_not(None), failed_states)
    .subquery("failed")
)


def all_kinds(name: str) -> sa.CTE:
    """A table with the column `kind`: each kind that has jobs. One look at the index per kind, however many jobs."""
    kinds = sa.select(sa.func.min(jobs.c.kind).label("kind")).cte(name, recursive=True)
    next_kind = sa.select(sa.func.min(jobs.c.kind)).where(jobs.c.kind > kinds.c.kind).scalar_subquery()
    # Without a next kind, the last row is null.
    return kinds.union_all(sa.select(next_kind).where(kinds.c.kind.is_not(None)))


def _counted(
    name: str, jobs_of: sa.FromClause, *which: sa.ColumnElement[bool], oldest: bool = False
) -> sa.Select[tuple[object, ...]]:
    first_due = sa.func.min(jobs.c.due_at) if oldest else sa.cast(sa.null(), jobs.c.due_at.type)
    counts = (sa.literal(name).label("name"), sa.func.count().label("jobs"), first_due.label("oldest_due_at"))
    return sa.select(jobs_of.c.kind, *counts).select_from(jobs_of).where(*which).group_by(jobs_of.c.kind)


# Each part reads one partial index.
_COUNTS = prepare(
    sa.union_all(
        _counted("ready", jobs, is_in_state("ready")),
        _counted("due", jobs, is_in_state("ready"), jobs.c.due_at <= sa.func.now(), oldest=True),
        _counted("retrying", failed, ~failed.c.is_dead),
        _counted("dead", failed, failed.c.is_dead),
        _counted("running", jobs, is_in_state("running")),
        _counted("discarded", jobs, is_in_state("discarded")),
        _counted("done_recently", jobs, is_in_state("done"), jobs.c.finished_at > sa.func.now() - _RECENT),
    )
)
_kinds = all_kinds("kinds")
_KINDS = prepare(
    sa.select(_kinds.c.kind)
    .where(_kinds.c.kind.is_not(None))
    .union(sa.select(paused_kinds.c.kind))
    .order_by(sa.literal_column("1"))
)
_PAUSED = prepare(sa.select(paused_kinds).order_by(paused_kinds.c.kind))
# One look at the index per kind, however many jobs are due.
_first_due = (
    sa.select(jobs.c.due_at)
    .where(is_in_state("ready"), jobs.c.kind == _kinds.c.kind, jobs.c.due_at <= sa.func.now())
    .order_by(jobs.c.due_at)
    .limit(sa.literal_column("1"))
    .lateral("first_due")
)
# Workers claim the longest due first: in a backlog, one that was due earlier is running.
_running = jobs.alias("running")
_is_next_in_backlog = sa.exists().where(
    _running.c.state == sa.literal("running", literal_execute=True),
    _running.c.leased_until > sa.func.clock_timestamp(),
    _running.c.kind == _kinds.c.kind,
    _running.c.due_at <= _first_due.c.due_at,
)
_WAITS = prepare(
    sa.select(
        _kinds.c.kind,
        sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp() - _first_due.c.due_at), sa.Double).label("seconds"),
        (~_is_next_in_backlog).label("is_unclaimed"),
    )
    .select_from(_kinds.join(_first_due, sa.true()))
    .where(~sa.exists().where(paused_kinds.c.kind == _kinds.c.kind))
)
_kind = sa.bindparam("kind", type_=sa.Text)
_PAUSE = prepare(
    insert(paused_kinds)
    .values(kind=sa.bindparam("kind"), reason=sa.bindparam("reason"), paused_by=sa.bindparam("paused_by"))
    .on_conflict_do_nothing()
)
_RESUME = prepare(sa.delete(paused_kinds).where(paused_kinds.c.kind == _kind).returning(*paused_kinds.c))


async def names(connection: Connection) -> list[str]:
    """The kinds that have jobs or are paused, sorted."""
    return [row["kind"] for row in await _KINDS.fetch_all(connection)]


async def counts(connection: Connection) -> list[Record]:
    """Rows of `kind`, `name`, `jobs` and `oldest_due_at`; a name is a state or one of `due`, `retrying` and
    `done_recently`. Names without jobs have no row."""
    return await _COUNTS.fetch_all(connection)


async def longest_waits(connection: Connection) -> list[Record]:
    """Rows of `kind`, `seconds` and `is_unclaimed`: for how long the first due job of a kind has waited for a worker,
    and whether no worker runs one that was due before it. Kinds that are paused, or have no due job, have no row."""
    return await _WAITS.fetch_all(connection)


async def paused(connection: Connection) -> list[Record]:
    return await _PAUSED.fetch_all(connection)


async def pause(connection: Connection, kind: str, reason: str, by: str) -> bool:
    """Let no worker claim jobs of the kind from the commit on; False when it is paused already."""
    return await _PAUSE.execute(connection, kind=kind, reason=reason, paused_by=by) == 1


async def resume(connection: Connection, kind: str) -> Record | None:
    """The reverse: the row of the pause that ended, None when the kind was not paused."""
    return await _RESUME.fetch_one(connection, kind=kind)
