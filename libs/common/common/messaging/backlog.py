"""How much waits in the outbox, and since when: the figures that alerts are made of."""

import asyncio

import structlog
from prometheus_client import Gauge
from sqlalchemy import select
from sqlalchemy.sql.functions import count, func

from common.database.statements import prepare
from common.database.tables import outbox, outbox_parked, outbox_pending
from common.database.transactions import Pool, is_connection_failure, reading

SECONDS_BETWEEN_LOOKS = 5.0

_log = structlog.get_logger(__name__)
_pending_rows = Gauge("outbox_pending_rows", "Outbox rows that Kafka has not acknowledged yet")
_oldest_age = Gauge("outbox_oldest_pending_age_seconds", "Age of the oldest outbox row not acknowledged yet, or 0")
_parked_rows = Gauge("outbox_parked_rows", "Outbox rows that Kafka refuses for good; any is an alert")

_held_back_rows = Gauge(
    "outbox_held_back_rows", "Outbox rows that wait for a partition or topic that takes no events now"
)

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


async def watch_backlog(pool: Pool) -> None:
    """Keep the gauges up to date until cancelled."""
    while True:
        try:
            async with reading(pool) as connection:
                (found,) = await _LOOK.fetch_all(connection)
        except Exception as error:
            if not is_connection_failure(error):
                raise
            _log.debug("outbox not looked at", error=repr(error))
        else:
            _pending_rows.set(found["pending"])
            _held_back_rows.set(found["held_back"])
            _parked_rows.set(found["parked"])
            _oldest_age.set(found["oldest_age"] or 0)
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
