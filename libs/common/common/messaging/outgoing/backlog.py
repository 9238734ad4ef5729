"""What waits to be sent or for an operator, by the service's tables: the figures that alerts are made of.

A counter would forget with its process what is still to be done; a table does not. Every relay of a service counts
alike, as its role always runs.
"""

import asyncio
from collections.abc import Sequence

import structlog
from prometheus_client import Gauge
from sqlalchemy import literal, select
from sqlalchemy.sql.functions import count, func

from common.database.statements import Connection, Record, prepare
from common.database.tables import jobs, outbox, outbox_parked, outbox_pending, poison
from common.database.transactions import Pool, is_connection_failure, reading

SECONDS_BETWEEN_LOOKS = 5.0

_log = structlog.get_logger(__name__)
_pending_rows = Gauge("outbox_pending_rows", "Outbox rows that Kafka has not acknowledged yet")
_oldest_age = Gauge("outbox_oldest_pending_age_seconds", "Age of the oldest outbox row not acknowledged yet, or 0")
_parked_rows = Gauge("outbox_parked_rows", "Outbox rows that Kafka refuses for good; any is an alert")
_held_back_rows = Gauge(
    "outbox_held_back_rows", "Outbox rows that wait for a partition or topic that takes no events now"
)
_dead_jobs = Gauge("jobs_dead_rows", "Jobs that failed for good and were not replayed; any is an alert", ["kind"])
_kept_poison = Gauge("poison_kept_rows", "Poison records that were not replayed; any is an alert", ["topic"])

_first = select(func.min(outbox_pending.c.position)).scalar_subquery()
_first_written = select(outbox.c.created_at).where(outbox.c.position == _first).scalar_subquery()
_LOOK = prepare(
    select(
        select(count()).select_from(outbox_pending).scalar_subquery().label("pending"),
        select(count()).where(outbox_pending.c.hold != 0).scalar_subquery().label("held_back"),
        select(count()).select_from(outbox_parked).scalar_subquery().label("parked"),
        func.extract("epoch", func.now() - _first_written).label("oldest_age"),
    )
)
# States are spelled out in the statements, so that the partial indexes are seen.
_DEAD_JOBS = prepare(
    select(jobs.c.kind, count().label("rows"))
    .where(jobs.c.state == literal("dead", literal_execute=True))
    .group_by(jobs.c.kind)
)
_KEPT_POISON = prepare(
    select(poison.c.topic, count().label("rows"))
    .where(poison.c.state == literal("kept", literal_execute=True))
    .group_by(poison.c.topic)
)


async def watch_backlog(pool: Pool) -> None:
    """Keep the gauges up to date until cancelled."""
    while True:
        try:
            async with reading(pool) as connection:
                await _look(connection)
        except Exception as error:
            if not is_connection_failure(error):
                raise
            _log.debug("the backlog was not looked at", error=repr(error))
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


async def _look(connection: Connection) -> None:
    (found,) = await _LOOK.fetch_all(connection)
    _pending_rows.set(found["pending"])
    _held_back_rows.set(found["held_back"])
    _parked_rows.set(found["parked"])
    _oldest_age.set(found["oldest_age"] or 0)
    _set_all(_dead_jobs, await _DEAD_JOBS.fetch_all(connection))
    _set_all(_kept_poison, await _KEPT_POISON.fetch_all(connection))


def _set_all(gauge: Gauge, rows: Sequence[Record]) -> None:
    """One value per label; labels that are not found any more go.

    The empty label is always there, and is 0: without any series nobody could tell "none" from "not looked at".
    """
    gauge.clear()
    gauge.labels("").set(0)
    for label, number in rows:
        gauge.labels(label).set(number)
