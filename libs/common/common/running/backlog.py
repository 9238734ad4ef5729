"""Gauges of a service's backlog, from its tables: unpublished events, dead jobs, paused kinds, poison records.
Alerts use them.

A counter would be 0 again after a restart of its process. Every process of the role `relay` measures the same, as this
role always runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog
from prometheus_client import Gauge
from sqlalchemy import literal, select
from sqlalchemy.sql.functions import count

from common.component import pause
from common.database.statements import Connection, prepare
from common.database.tables import jobs, poison
from common.database.transactions import FailuresLogged, Pool, reading
from common.jobs import kinds
from common.messaging.outgoing.backlog import measure_outbox

SECONDS_BETWEEN_MEASUREMENTS = 5.0

_log = structlog.get_logger(__name__)
_pending_rows = Gauge("outbox_pending_rows", "Outbox rows that Kafka has not acknowledged yet")
_oldest_age = Gauge("outbox_oldest_pending_age_seconds", "Age of the oldest outbox row not acknowledged yet, or 0")
_parked_rows = Gauge("outbox_parked_rows", "Outbox rows that Kafka rejected permanently; any is an alert")
_held_back_rows = Gauge(
    "outbox_held_back_rows", "Outbox rows that wait for a partition or topic that accepts no events now"
)
_dead_jobs = Gauge("jobs_dead_rows", "Jobs that failed permanently and were not replayed; any is an alert", ["kind"])
_paused_jobs = Gauge("jobs_paused", "1 for each kind of jobs that an operator has paused", ["kind"])
_due_age = Gauge(
    "jobs_due_age_seconds",
    "For how long the first due job of a kind has waited to be begun; kinds that are paused are left out",
    ["kind"],
)
_unclaimed_age = Gauge(
    "jobs_unclaimed_age_seconds",
    "For how long the first due job of a kind has waited while no worker runs one that was due before it; kinds that "
    "are paused are left out",
    ["kind"],
)
_kept_poison = Gauge("poison_kept_rows", "Poison records that were not replayed; any is an alert", ["topic"])

# States are spelled out in the statements, so that the partial indexes are seen.
_DEAD_JOBS = prepare(
    select(jobs.c.kind, count().label("rows"))
    .where(jobs.c.state == literal("dead", literal_execute=True))
    .group_by(jobs.c.kind)
)
_STORED_POISON = prepare(
    select(poison.c.topic, count().label("rows"))
    .where(poison.c.state == literal("kept", literal_execute=True))
    .group_by(poison.c.topic)
)


async def measure_backlog(
    pool: Pool, stopping: asyncio.Event, own_gauges: Iterable[Callable[[Connection], Awaitable[None]]] = ()
) -> None:
    """Keep these gauges and the service's own ones up to date until `stopping` is set."""
    while not stopping.is_set():
        with FailuresLogged(_log.debug, "the backlog was not measured"):
            async with reading(pool) as connection:
                await _measure(connection)
                for measure in own_gauges:
                    await measure(connection)
        await pause(stopping, SECONDS_BETWEEN_MEASUREMENTS)


async def _measure(connection: Connection) -> None:
    row = await measure_outbox(connection)
    _pending_rows.set(row["pending"])
    _held_back_rows.set(row["held_back"])
    _parked_rows.set(row["parked"])
    _oldest_age.set(row["oldest_age"] or 0)
    _set_all(_dead_jobs, await _DEAD_JOBS.fetch_all(connection))
    _set_all(_paused_jobs, [(row["kind"], 1) for row in await kinds.paused(connection)])
    waits = await kinds.longest_waits(connection)
    _set_all(_due_age, [(row["kind"], row["seconds"]) for row in waits])
    _set_all(_unclaimed_age, [(row["kind"], row["seconds"]) for row in waits if row["is_unclaimed"]])
    _set_all(_kept_poison, await _STORED_POISON.fetch_all(connection))


def _set_all(gauge: Gauge, rows: Iterable[Iterable[Any]]) -> None:
    """One value per label; labels without rows are removed.

    The empty label is always there, and is 0: without any series "none" would look like "not measured".
    """
    gauge.clear()
    gauge.labels("").set(0)
    for label, number in rows:
        gauge.labels(label).set(number)
