"""The table `consumer_positions`: how far the service's consumers are, for everybody who reads its database."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, DateTime, Integer, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from common.database.statements import Connection, array_rows, prepare
from common.database.tables import consumer_positions

_time = DateTime(timezone=True)
_seen = array_rows(
    "seen",
    topic=Text,
    partition=Integer,
    position=BigInteger,
    lag=BigInteger,
    partition_count=Integer,
    caught_up_at=_time,
)
_report = insert(consumer_positions).from_select(
    [*_seen.c.keys(), "reported_at"], select(*_seen.c, bindparam("reported_at", type_=_time))
)
_table, _new = consumer_positions.c, _report.excluded
_REPORT = prepare(
    _report.on_conflict_do_update(
        index_elements=[_table.topic, _table.partition],
        set_={
            "position": _new.position,
            "lag": _new.lag,
            "partition_count": _new.partition_count,
            "caught_up_at": func.greatest(_table.caught_up_at, _new.caught_up_at),
            "reported_at": _new.reported_at,
        },
        # A member that was paused must not overwrite what its successor says.
        where=_table.reported_at <= _new.reported_at,
    )
)
_NOW = prepare(select(func.clock_timestamp()))


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
