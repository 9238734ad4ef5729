"""Holds: rows that wait for a partition or topic. ADR 18 has the three places of a key's rows and their order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Integer, SmallInteger, Text, any_, bindparam, exists, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from common.database.statements import Connection, prepare
from common.database.tables import outbox_holds, outbox_pending
from common.messaging.outgoing.pending_events import Row

Partition: TypeAlias = tuple[str, int]  # topic and number
WHOLE_TOPIC = -1  # in place of a number: the topic is missing or forbidden

_holds = outbox_holds.c
_FIND_ID = prepare(
    select(_holds.id).where(_holds.topic == bindparam("topic"), _holds.partition == bindparam("partition"))
)
_INSERT = prepare(
    insert(outbox_holds)
    .values(topic=bindparam("topic", type_=Text), partition=bindparam("partition", type_=Integer))
    .on_conflict_do_nothing()
)
_has_rows = exists().where(
    outbox_pending.c.hold == _holds.id, outbox_pending.c.lane == any_(bindparam("lanes", type_=ARRAY(SmallInteger)))
)
_FIND_WITH_ROWS = prepare(select(_holds.id, _holds.topic, _holds.partition).where(_has_rows))


@dataclass(slots=True)
class Hold:
    """`id` is the `hold` of its rows. While it recovers, its rows are sent again, in front of all later ones."""

    id: int
    partition: Partition
    is_recovering: bool = False


def divide(
    holds: Mapping[Partition, Hold], partition: Partition, rows: Sequence[Row]
) -> tuple[Sequence[Row], Mapping[Partition, Sequence[Row]]]:
    """One partition's rows: those that may be sent now, which are in the first place that has any, and the others by
    what they wait for."""
    partition_hold, topic_hold = holds.get(partition), holds.get((partition[0], WHOLE_TOPIC))
    if partition_hold is None and topic_hold is None:
        return rows, {}
    to_send: list[Row] = []
    to_hold: dict[Partition, list[Row]] = {}
    for row in rows:
        if partition_hold is not None and row["hold"] == partition_hold.id:
            to_send.append(row)
        elif topic_hold is not None and row["hold"] == topic_hold.id:
            if partition_hold is None:
                to_send.append(row)
            else:
                to_hold.setdefault(partition_hold.partition, []).append(row)
        else:
            last_hold = topic_hold or partition_hold
            assert last_hold is not None  # noqa: S101 - or nothing would be divided
            to_hold.setdefault(last_hold.partition, []).append(row)
    return to_send, to_hold


async def new_hold(connection: Connection, partition: Partition) -> Hold:
    """The partition's hold. Its row is inserted at the first call; all relays then find the same id."""
    place = {"topic": partition[0], "partition": partition[1]}
    hold_id = await _FIND_ID.fetch_value(connection, **place)
    if hold_id is None:
        await _INSERT.execute(connection, **place)
        hold_id = await _FIND_ID.fetch_value(connection, **place)
    return Hold(hold_id, partition)


async def holds_with_rows(connection: Connection, lanes: Iterable[int]) -> list[Hold]:
    """The holds that have rows in these lanes."""
    rows = await _FIND_WITH_ROWS.fetch_all(connection, lanes=list(lanes))
    return [Hold(row["id"], (row["topic"], row["partition"])) for row in rows]
