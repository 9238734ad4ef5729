"""The table `consumer_positions`: how far the consumers of a service are, and whether a key's events are processed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from common.database.statements import Connection, array_rows, prepare
from common.database.tables import consumer_positions
from common.messaging.kafka.partitioner import partition_of

_time = sa.DateTime(timezone=True)
_seen = array_rows(
    "seen",
    topic=sa.Text,
    partition=sa.Integer,
    position=sa.BigInteger,
    lag=sa.BigInteger,
    partition_count=sa.Integer,
    caught_up_at=_time,
)
_report = insert(consumer_positions).from_select(
    [*_seen.c.keys(), "reported_at"], sa.select(*_seen.c, sa.bindparam("reported_at", type_=_time))
)
_table, _new = consumer_positions.c, _report.excluded
_REPORT = prepare(
    _report.on_conflict_do_update(
        index_elements=[_table.topic, _table.partition],
        set_={
            "position": _new.position,
            "lag": _new.lag,
            "partition_count": _new.partition_count,
            "caught_up_at": sa.func.greatest(_table.caught_up_at, _new.caught_up_at),
            "reported_at": _new.reported_at,
        },
        # A member that was paused must not overwrite what its successor says.
        where=_table.reported_at <= _new.reported_at,
    )
)
# Rows of a topic that had more partitions before it was created again are left over, and no longer reported.
_is_recent = _table.reported_at >= sa.func.max(_table.reported_at).over() - timedelta(minutes=1)
_POSITIONS = prepare(
    sa.select(
        _table.partition, sa.case((_is_recent, _table.partition_count)).label("partition_count"), _table.caught_up_at
    ).where(_table.topic == sa.bindparam("topic", type_=sa.Text))
)
_NOW = prepare(sa.select(sa.func.clock_timestamp()))


class PositionReport(NamedTuple):
    """`partition_count` is that of the topic; `caught_up_at` None leaves the one that was reported before."""

    topic: str
    partition: int
    position: int
    lag: int
    partition_count: int | None
    caught_up_at: datetime | None


async def database_time(connection: Connection) -> datetime:
    now: datetime = await _NOW.fetch_value(connection)
    return now


async def store(connection: Connection, reports: Sequence[PositionReport], reported_at: datetime) -> None:
    columns = zip(PositionReport._fields, zip(*reports, strict=True), strict=True)
    await _REPORT.execute(connection, **{f"{name}s": values for name, values in columns}, reported_at=reported_at)


async def is_caught_up(connection: Connection, topic: str, key: str, *, since: datetime) -> bool:
    """Whether all events of the key that were published before `since` are processed (ADR 9)."""
    rows = await _POSITIONS.fetch_all(connection, topic=topic)
    # A partition has no row before its consumer has first looked at it. Older consumers do not report the count.
    count = max((row["partition_count"] or 0 for row in rows), default=0) or len(rows)
    if count == 0:
        return False
    partition = partition_of(key, count)
    times = (row["caught_up_at"] for row in rows if row["partition"] == partition)
    return any(time is not None and time >= since for time in times)
