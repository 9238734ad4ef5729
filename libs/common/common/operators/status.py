"""The status of a service in one document, from its tables: for the overview of operators."""

from collections import defaultdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from common.database.statements import Connection, Record, prepare
from common.database.tables import consumer_positions, discrepancies, jobs, poison
from common.jobs import kinds
from common.jobs.alerts import ALERT
from common.messaging.incoming.consumer_positions import database_time
from common.messaging.outgoing.backlog import measure_outbox
from common.operators.job_results import JobKind, JobKindList
from common.operators.status_results import AlertStatus, OutboxStatus, ServiceStatus
from common.reconciliation.discrepancies import is_reported
from common.service import Runtime

_COUNTS = ("ready", "due", "retrying", "running", "dead", "discarded", "done_recently")
_MOST_ALERTS = 20
_CONSUMERS = prepare(
    sa.select(
        *(consumer_positions.c[name] for name in ("topic", "partition", "position", "lag")),
        *(consumer_positions.c.caught_up_at, consumer_positions.c.reported_at),
    ).order_by(consumer_positions.c.topic, consumer_positions.c.partition)
)
_POISON = prepare(
    sa.select(poison.c.topic, sa.func.count().label("kept"), sa.func.min(poison.c.created_at).label("oldest"))
    .where(poison.c.state == sa.literal("kept", literal_execute=True))
    .group_by(poison.c.topic)
    .order_by(poison.c.topic)
)
_DISCREPANCIES = prepare(
    sa.select(
        *(discrepancies.c.check, sa.func.count().label("open")),
        sa.func.min(discrepancies.c.first_seen).label("oldest"),
    )
    .where(is_reported)
    .group_by(discrepancies.c.check)
    .order_by(discrepancies.c.check)
)
_ALERTS = prepare(
    sa.select(jobs.c.id, jobs.c.created_at, jobs.c.state, jobs.c.payload)
    .where(jobs.c.kind == ALERT, jobs.c.created_at > sa.func.now() - sa.text("interval '1 day'"))
    .order_by(jobs.c.created_at.desc())
    .limit(sa.literal_column(str(_MOST_ALERTS)))
)


async def service_status(connection: Connection, runtime: Runtime[Any]) -> ServiceStatus:
    """Reads indexes only, so that it stays cheap however many rows are done."""
    return {
        "service": runtime.service.name,
        "time": await database_time(connection),
        "outbox": _outbox(await measure_outbox(connection)),
        "consumers": [_as_document(row) for row in await _CONSUMERS.fetch_all(connection)],
        "jobs": await job_kinds(connection),
        "poison": [_as_document(row) for row in await _POISON.fetch_all(connection)],
        "discrepancies": [_as_document(row) for row in await _DISCREPANCIES.fetch_all(connection)],
        "alerts": [_alert(row) for row in await _ALERTS.fetch_all(connection)],
    }


async def list_job_kinds(connection: Connection) -> JobKindList:
    return {"data": await job_kinds(connection)}


async def job_kinds(connection: Connection) -> list[JobKind]:
    """The kinds that have jobs or are paused, with the numbers of their jobs."""
    numbers: dict[str, dict[str, int]] = defaultdict(dict)
    oldest: dict[str, datetime] = {}
    for row in await kinds.counts(connection):
        numbers[row["kind"]][row["name"]] = row["jobs"]
        if row["oldest_due_at"] is not None:
            oldest[row["kind"]] = row["oldest_due_at"]
    pauses = {row["kind"]: row for row in await kinds.paused(connection)}
    return [_kind(name, numbers[name], oldest.get(name), pauses.get(name)) for name in await kinds.names(connection)]


def _kind(name: str, numbers: dict[str, int], oldest_due_at: datetime | None, pause: Record | None) -> JobKind:
    ended: dict[str, Any] = {"paused_at": None, "paused_by": None, "reason": None}
    values = ended if pause is None else pause
    document: Any = {
        "kind": name,
        **{each: numbers.get(each, 0) for each in _COUNTS},
        "oldest_due_at": oldest_due_at,
        "paused": pause is not None,
        "paused_at": values["paused_at"],
        "paused_by": values["paused_by"],
        "paused_reason": values["reason"],
    }
    kind: JobKind = document
    return kind


def _outbox(row: Record) -> OutboxStatus:
    age = row["oldest_age"]
    return {
        "pending": row["pending"],
        "held_back": row["held_back"],
        "parked": row["parked"],
        "oldest_age_seconds": None if age is None else float(age),
    }


def _alert(row: Record) -> AlertStatus:
    alert = row["payload"]["alert"]
    return {
        "job_id": row["id"],
        "created_at": row["created_at"],
        "state": row["state"],
        "channel": row["payload"]["channel"],
        "cause": alert["cause"],
        "subject": alert["subject"],
        "title": alert["title"],
    }


def _as_document(row: Record) -> Any:
    """The columns are the members."""
    return dict(row)
