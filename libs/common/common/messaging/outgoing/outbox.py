"""The outbox: events are inserted in the transaction of the change, and published later by the relay (ADR 4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert, insert

from common.audit.actor import Actor
from common.database.notifier import Channel, announce
from common.database.statements import Connection, prepare
from common.database.tables import event_streams, outbox, outbox_parked, outbox_pending

LANES = 32
ROWS_SENT_AGAIN_AT_ONCE = 100_000
_COLUMNS = (
    *("id", "aggregatetype", "aggregateid", "type", "payload", "topic", "key"),
    *("causation_id", "traceparent", "headers"),
)
_time = sa.bindparam("event_time", type_=sa.DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One event to be published. `type` is the short name, `data` its JSON.

    `sequence` is the next one of its topic and key, if the caller counts; None where an `AggregateStore` or
    `event_streams` does.
    """

    type: str
    topic: str
    aggregate_type: str
    aggregate_id: UUID | str
    key: str
    sequence: int | None
    data: bytes
    traceparent: str
    causation_id: str | None = None
    headers: dict[str, str] | None = None
    # The time of the change; None is the time of the insert by the database's clock. It has to be a time at which the
    # lock that gives the sequence was held, so that a key's times never go back.
    time: datetime | None = None

    @classmethod
    def by(
        cls,
        actor: Actor,
        *,
        type: str,  # noqa: A002 - the event's attribute
        topic: str,
        aggregate_type: str,
        aggregate_id: UUID,
        key: UUID,
        data: bytes,
        time: datetime | None = None,
    ) -> "NewEvent":
        """The event of a change that the actor makes, with the actor's trace and cause."""
        trace, cause = actor.traceparent, actor.causation_id
        return cls(type, topic, aggregate_type, aggregate_id, str(key), None, data, trace, cause, time=time)


def lane_of(key: str) -> int:
    """A key has one lane, and a lane has one relay at a time: this keeps the events of a key in order."""
    return crc32(key.encode()) % LANES


def insert_event() -> Insert:
    """The event and its pending row, as a part of a statement (a CTE); `event_parameters` has its values.

    For an aggregate that counts its events itself.
    """
    values: dict[str, Any] = {name: sa.bindparam(f"event_{name}") for name in (*_COLUMNS, "sequence")}
    values["created_at"] = sa.func.coalesce(_time, sa.func.clock_timestamp())
    return _with_pending_row(insert(outbox).values(values))


def insert_next_event() -> Insert:
    """As `insert_event`, with the next sequence of the event's topic and key from `event_streams`.

    The stream's row is locked until the transaction ends, so that sequences are committed in their order.
    """
    time = sa.func.coalesce(_time, sa.func.clock_timestamp())
    new_stream = insert(event_streams).values(
        topic=_parameter("topic"), key=_parameter("key"), sequence=1, last_at=time
    )
    stream = (
        new_stream.on_conflict_do_update(
            index_elements=[event_streams.c.topic, event_streams.c.key],
            set_={
                "sequence": event_streams.c.sequence + 1,
                # Evaluated again: the time in `excluded` is from before the wait for the stream's lock.
                "last_at": sa.func.greatest(event_streams.c.last_at, time),
            },
        )
        .returning(event_streams.c.sequence, event_streams.c.last_at)
        .cte("stream")
    )
    event = sa.select(*map(_parameter, _COLUMNS), stream.c.sequence, stream.c.last_at)
    return _with_pending_row(insert(outbox).from_select([*_COLUMNS, "sequence", "created_at"], event))


def _with_pending_row(event: Insert) -> Insert:
    written = event.returning(outbox.c.position).cte("event")
    lane = sa.bindparam("event_lane", type_=sa.SmallInteger)
    return insert(outbox_pending).from_select(["position", "lane"], sa.select(written.c.position, lane))


def _parameter(column: str) -> sa.BindParameter[Any]:
    return sa.bindparam(f"event_{column}", type_=outbox.c[column].type)


def event_parameters(event: NewEvent) -> dict[str, Any]:
    parameters = {
        "event_id": uuid4(),
        "event_aggregatetype": event.aggregate_type,
        "event_aggregateid": str(event.aggregate_id),
        "event_type": event.type,
        "event_payload": event.data,
        "event_topic": event.topic,
        "event_key": event.key,
        "event_lane": lane_of(event.key),
        "event_causation_id": event.causation_id,
        "event_traceparent": event.traceparent,
        "event_headers": event.headers,
        "event_time": event.time,
    }
    return parameters if event.sequence is None else {**parameters, "event_sequence": event.sequence}


_APPEND = prepare(insert_event())
_APPEND_NEXT = prepare(insert_next_event())


async def append(connection: Connection, *events: NewEvent) -> None:
    """Insert events in this transaction and in this order; either all or none of them have a sequence."""
    statement = _APPEND_NEXT if any(event.sequence is None for event in events) else _APPEND
    await statement.execute_many(connection, [event_parameters(event) for event in events])
    announce(connection, Channel.EVENTS)


_parked_position = sa.bindparam("parked_position", type_=sa.BigInteger)
_later = outbox.alias("later")
# Those of the key that are held back, too: read apart from the event in front of them, they might be sent before it.
_FREE_KEY = prepare(
    sa.update(outbox_pending)
    .where(
        outbox_parked.c.position == _parked_position,
        _later.c.topic == outbox_parked.c.topic,
        _later.c.key == outbox_parked.c.key,
        _later.c.position > outbox_parked.c.position,
        outbox_pending.c.position == _later.c.position,
        outbox_pending.c.hold != 0,
    )
    .values(hold=sa.literal_column("0"))
)
_freed = (
    sa.delete(outbox_parked)
    .where(outbox_parked.c.position == _parked_position)
    .returning(outbox_parked.c.position, outbox_parked.c.lane)
    .cte("freed")
)
_REPLAY = prepare(insert(outbox_pending).from_select(["position", "lane"], sa.select(_freed)))


async def replay(connection: Connection, position: int) -> bool:
    """Have a parked event tried again, and with it those of its key behind it; False when it is not parked. Needs a
    transaction."""
    await _FREE_KEY.execute(connection, parked_position=position)
    announce(connection, Channel.EVENTS)
    return await _REPLAY.execute(connection, parked_position=position) == 1


_since = outbox.c.created_at >= sa.bindparam("since", type_=sa.DateTime(timezone=True))
_POSITIONS_SINCE = prepare(sa.select(sa.func.min(outbox.c.position), sa.func.max(outbox.c.position)).where(_since))
_SEND_AGAIN = prepare(
    insert(outbox_pending)
    .from_select(
        ["position", "lane"],
        # `lane_of`, in the database's words.
        sa.select(outbox.c.position, sa.func.crc32(sa.func.convert_to(outbox.c.key, "UTF8")) % LANES)
        .where(
            _since,
            outbox.c.position.between(
                sa.bindparam("first", type_=sa.BigInteger), sa.bindparam("last", type_=sa.BigInteger)
            ),
        )
        # Or they might be deleted as old before this is committed: the purge passes over what is locked.
        .with_for_update(key_share=True, read=True),
    )
    .on_conflict_do_nothing()
)
# Statements of their own at the end, which see also what was parked or held back meanwhile.
_LEAVE_PARKED = prepare(sa.delete(outbox_pending).where(outbox_pending.c.position == outbox_parked.c.position))
_held_back = outbox_pending.alias("held_back")
_LEAVE_HELD_BACK = prepare(
    sa.delete(outbox_pending).where(
        outbox_pending.c.hold == 0, _held_back.c.hold != 0, outbox_pending.c.position == _held_back.c.position
    )
)


async def send_again(connection: Connection, since: datetime) -> int:
    """Publish all events written since `since` again, with the same ids; returns their number.

    Those that Kafka rejected permanently stay parked, and what is behind them waits; those that are held back stay so.
    """
    first, last = (await _POSITIONS_SINCE.fetch_all(connection, since=since))[0]
    if first is None:
        return 0
    sent_again = 0
    for start in range(first, last + 1, ROWS_SENT_AGAIN_AT_ONCE):
        end = start + ROWS_SENT_AGAIN_AT_ONCE - 1
        sent_again += await _SEND_AGAIN.execute(connection, since=since, first=start, last=end)
    sent_again -= await _LEAVE_HELD_BACK.execute(connection)
    return sent_again - await _LEAVE_PARKED.execute(connection)
