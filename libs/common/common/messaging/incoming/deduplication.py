"""The inbox table: hands events to their handlers once, in the transaction that also stores their ids (ADR 14)."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, Integer, Text, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from common.database.statements import Connection, array_rows, prepare
from common.database.tables import inbox
from common.messaging.envelope import Record
from common.messaging.incoming.consumer_spans import ConsumerSpans
from common.messaging.incoming.records import EventHandler, Handlers, Incoming

RecordEvents: TypeAlias = Sequence[tuple[Record, Incoming[Any]]]

_given = array_rows("given", event_id=Text, topic=Text, partition=Integer, offset=BigInteger)
_INSERT_NEW = prepare(
    insert(inbox)
    .from_select(
        ["consumer", *_given.c.keys()],
        select(bindparam("consumer", type_=Text), *_given.c),
    )
    .on_conflict_do_nothing(index_elements=[inbox.c.consumer, inbox.c.event_id])
    .returning(inbox.c.event_id)
)


async def process_new(
    connection: Connection, consumer: str, handlers: Handlers, events: RecordEvents, spans: ConsumerSpans
) -> Sequence[Incoming[Any]]:
    """Call each handler with its events that are not in the inbox yet, in their order. Returns the new ones."""
    if not events:
        return ()
    rows = await _INSERT_NEW.fetch_all(
        connection,
        consumer=consumer,
        event_ids=[incoming.event.id for _, incoming in events],
        topics=[record.topic for record, _ in events],
        partitions=[record.partition for record, _ in events],
        offsets=[record.offset for record, _ in events],
    )
    new = {row["event_id"] for row in rows}
    by_handler: dict[EventHandler[Any], list[Incoming[Any]]] = {}
    for record, incoming in events:
        if incoming.event.id in new:
            new.remove(incoming.event.id)  # a repeat may be in the same batch
            by_handler.setdefault(handlers[incoming.event.type], []).append(spans.begin(record, incoming))
    for handler, its_events in by_handler.items():
        await handler.process(connection, its_events)
    return [incoming for its_events in by_handler.values() for incoming in its_events]
