"""The rows of a timeline: one statement for each table (ADR 42)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.database.statements import Connection, Record, array_rows, prepare
from common.database.tables import (
    audit,
    audit_details,
    consumer_positions,
    discrepancies,
    job_attempts,
    jobs,
    outbox,
    outbox_holds,
    outbox_parked,
    outbox_pending,
    paused_kinds,
    poison,
    relays,
    workers,
)
from common.operators.job_results import JobAttempt
from common.operators.timeline_results import (
    TimelineConsumer,
    TimelineDiscrepancy,
    TimelineEvent,
    TimelineJob,
    TimelinePoison,
)
from common.reconciliation.discrepancies import is_reported

# Refused attempts, replays and look-ups can be repeated without end.
MOST_ROWS = 200
_most: sa.ColumnElement[int] = sa.literal_column(str(MOST_ROWS))


def _columns(table: sa.Table, result: type[Any]) -> list[sa.Column[Any]]:
    """The columns that a result has as its fields."""
    return [table.c[name] for name in result.__annotations__ if name in table.c]


_now = sa.func.clock_timestamp()
_is_active = workers.c.active_until > _now
_STATE = prepare(
    sa.select(
        _now.label("at"),
        sa.exists().where(relays.c.active_until > _now).label("relay_is_running"),
        sa.exists().where(_is_active).label("worker_is_running"),
    )
)

_named = array_rows("named", kind=sa.Text, business_key=sa.Text)
_other = jobs.alias("other")
_others_running = (
    sa.select(sa.func.count())
    .select_from(_other)
    .where(
        _other.c.state == sa.literal("running", literal_execute=True),
        _other.c.leased_until > _now,
        _other.c.kind == jobs.c.kind,
        _other.c.id != jobs.c.id,
        # Workers claim the longest due first: one that was due later has overtaken this job.
        _other.c.due_at <= jobs.c.due_at,
    )
    .scalar_subquery()
)
_workers = (
    sa.select(sa.func.count())
    .select_from(workers)
    .where(_is_active, jobs.c.kind == sa.any_(workers.c.kinds))
    .scalar_subquery()
)
_JOBS = prepare(
    sa.select(
        *_columns(jobs, TimelineJob),
        paused_kinds.c.reason.label("paused_reason"),
        paused_kinds.c.paused_by,
        paused_kinds.c.paused_at,
        _others_running.label("others_running"),
        _workers.label("workers"),
    )
    .select_from(_named.join(jobs, sa.and_(jobs.c.kind == _named.c.kind, jobs.c.business_key == _named.c.business_key)))
    .outerjoin(paused_kinds, paused_kinds.c.kind == jobs.c.kind)
    .order_by(jobs.c.created_at, jobs.c.id)
)
_ids = array_rows("chosen", id=sa.Uuid)
_latest_attempts = (
    sa.select(job_attempts.c.job_id, *_columns(job_attempts, JobAttempt))
    .where(job_attempts.c.job_id == _ids.c.id)
    .order_by(job_attempts.c.number.desc())
    .limit(_most)
    .lateral("latest")
)
_ATTEMPTS = prepare(sa.select(_latest_attempts).select_from(_ids.join(_latest_attempts, sa.true())))

_entities = array_rows("entities", type=sa.Text, id=sa.Uuid)
_latest_changes = (
    sa.select(audit)
    .where(audit.c.entity_type == _entities.c.type, audit.c.entity_id == _entities.c.id)
    .order_by(audit.c.position.desc())
    .limit(_most)
    .lateral("latest")
)
_CHANGES = prepare(
    sa.select(_latest_changes, audit_details.c.details)
    .select_from(_entities.join(_latest_changes, sa.true()))
    .outerjoin(audit_details, audit_details.c.audit_id == _latest_changes.c.id)
    .order_by(_latest_changes.c.created_at, _latest_changes.c.position)
)

_topics = array_rows("topics", topic=sa.Text)
_latest_events = (
    sa.select(outbox)
    .where(outbox.c.topic == _topics.c.topic, outbox.c.key == sa.bindparam("key", type_=sa.Text))
    .order_by(outbox.c.epoch.desc(), outbox.c.sequence.desc())
    .limit(_most)
    .lateral("latest")
)
# The index of pending rows begins with the hold: a row is found by its position for each of the few holds.
_holds = sa.union_all(sa.select(sa.literal_column("0").label("id")), sa.select(outbox_holds.c.id)).subquery("holds")
_hold = (
    sa.select(outbox_pending.c.hold)
    .join(_holds, _holds.c.id == outbox_pending.c.hold)
    .where(outbox_pending.c.position == _latest_events.c.position)
    .limit(sa.literal_column("1"))
    .scalar_subquery()
)
_EVENTS = prepare(
    sa.select(
        *(_latest_events.c[each.name] for each in _columns(outbox, TimelineEvent)),
        outbox_parked.c.parked_at,
        outbox_parked.c.error,
        _hold.label("hold"),
    )
    .select_from(_topics.join(_latest_events, sa.true()))
    .outerjoin(outbox_parked, outbox_parked.c.position == _latest_events.c.position)
    .order_by(_latest_events.c.position)
)
_POISON = prepare(
    sa.union_all(
        sa.select(*_columns(poison, TimelinePoison)).where(
            poison.c.key == sa.bindparam("key", type_=sa.LargeBinary), poison.c.kind == "record"
        ),
        sa.select(*_columns(poison, TimelinePoison)).where(
            poison.c.state == sa.literal("kept", literal_execute=True), poison.c.kind == "batch"
        ),
    ).limit(_most)
)
_DISCREPANCIES = prepare(
    sa.select(*_columns(discrepancies, TimelineDiscrepancy))
    .where(discrepancies.c.key == sa.bindparam("key", type_=sa.Text), is_reported)
    .order_by(discrepancies.c.first_seen)
    .limit(_most)
)
_POSITIONS = prepare(
    sa.select(*_columns(consumer_positions, TimelineConsumer), consumer_positions.c.partition_count).where(
        consumer_positions.c.topic == sa.any_(sa.bindparam("topics", type_=sa.ARRAY(sa.Text)))
    )
)


async def find_state(connection: Connection) -> dict[str, Any]:
    """`at`, `relay_is_running` and `worker_is_running`."""
    [row] = await _STATE.fetch_all(connection)
    return dict(row)


async def find_jobs(connection: Connection, named: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Those that exist of the jobs with these kinds and business keys, with their attempts."""
    if not named:
        return []
    kinds, keys = zip(*named, strict=True)
    found = await _JOBS.fetch_all(connection, kinds=kinds, business_keys=keys)
    attempts: dict[UUID, list[dict[str, Any]]] = {job["id"]: [] for job in found}
    for row in reversed(await _ATTEMPTS.fetch_all(connection, ids=list(attempts)) if found else []):
        attempts[row["job_id"]].append({name: row[name] for name in JobAttempt.__annotations__})
    return [{**job, "attempts_made": attempts[job["id"]]} for job in found]


async def find_changes(connection: Connection, entities: Sequence[tuple[str, UUID]]) -> list[Record]:
    """Audit rows with their details, oldest first."""
    types, ids = zip(*entities, strict=True) if entities else ((), ())
    return await _CHANGES.fetch_all(connection, types=types, ids=ids)


async def find_events(connection: Connection, topics: Sequence[str], key: str) -> list[Record]:
    """Oldest first. `hold` is null for an event that is published or parked, 0 for one to be published now."""
    return await _EVENTS.fetch_all(connection, topics=topics, key=key)


async def find_poison(connection: Connection, key: bytes) -> list[Record]:
    """Records with this key, and every batch that is kept."""
    return await _POISON.fetch_all(connection, key=key)


async def find_discrepancies(connection: Connection, key: str) -> list[Record]:
    """Those that are open, oldest first."""
    return await _DISCREPANCIES.fetch_all(connection, key=key)


async def find_positions(connection: Connection, topics: Sequence[str]) -> list[Record]:
    """How far the consumer is, in every partition of the topics."""
    return await _POSITIONS.fetch_all(connection, topics=topics)
