"""The time up to which a consumer has processed the events of one key (ADR 0009)."""

from datetime import datetime, timedelta

from sqlalchemy import Text, bindparam, case, func, select

from common.database.statements import Connection, prepare
from common.database.tables import consumer_positions
from common.messaging.kafka.partitioner import partition_of

_positions = consumer_positions.c
# Rows of a topic that had more partitions before it was created again are left over, and no longer reported.
_is_recent = _positions.reported_at >= func.max(_positions.reported_at).over() - timedelta(minutes=1)
_POSITIONS = prepare(
    select(
        _positions.partition,
        case((_is_recent, _positions.partition_count)).label("partition_count"),
        _positions.caught_up_at,
    ).where(_positions.topic == bindparam("topic", type_=Text))
)


async def caught_up_at(connection: Connection, topic: str, key: str) -> datetime | None:
    """All records that were in the key's partition at this time are processed; None when that is not known."""
    rows = await _POSITIONS.fetch_all(connection, topic=topic)
    # A partition has no row before its consumer has first looked at it. Older consumers do not report the count.
    count = max((row["partition_count"] or 0 for row in rows), default=0) or len(rows)
    if count == 0:
        return None
    partition = partition_of(key, count)
    return next((row["caught_up_at"] for row in rows if row["partition"] == partition), None)


async def is_caught_up(connection: Connection, topic: str, key: str, *, since: datetime) -> bool:
    """Whether all events of the key that were published before `since` are processed."""
    processed_until = await caught_up_at(connection, topic, key)
    return processed_until is not None and processed_until >= since
