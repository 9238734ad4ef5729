"""Checks of every service that compare its tables with Kafka: events that were published, and events that were
consumed, must be there (ADR 40)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from aiokafka import ConsumerRecord
from sqlalchemy.dialects.postgresql import ARRAY

from common.database.statements import Connection, array_rows, prepare
from common.database.tables import consumer_positions, inbox, outbox, poison
from common.database.transactions import Pool, reading
from common.messaging.incoming.consumer_spans import ConsumerSpans
from common.messaging.incoming.deduplication import process_new
from common.messaging.incoming.records import Handlers, read
from common.messaging.outgoing.repeating import is_unsent, publish_again
from common.reconciliation.check import MOST_FINDINGS, Check, Finding
from common.reconciliation.topic_reader import TopicEvent, TopicReader

# What is younger may still be on its way.
SETTLED = timedelta(minutes=1)
# How far the first round looks back, and with it what a restart of the reconciler may take.
WINDOW = timedelta(minutes=15)
# Of what was read from Kafka and is not decided yet; beyond it, the oldest is forgotten.
MOST_WAITING = 200_000

_time = sa.DateTime(timezone=True)
_NOW = prepare(sa.select(sa.func.clock_timestamp()))
_WRITTEN = prepare(
    sa.select(outbox.c.id, outbox.c.key, outbox.c.type, outbox.c.topic, outbox.c.sequence, outbox.c.created_at)
    .where(
        outbox.c.created_at > sa.bindparam("since", type_=_time),
        outbox.c.created_at <= sa.bindparam("until", type_=_time),
        outbox.c.topic == sa.any_(sa.bindparam("topics", type_=ARRAY(sa.Text))),
    )
    .order_by(outbox.c.position)
)
_SENT = prepare(
    sa.select(outbox.c.id).where(outbox.c.id == sa.any_(sa.bindparam("ids", type_=ARRAY(sa.Uuid))), ~is_unsent)
)
_POSITIONS = prepare(
    sa.select(consumer_positions.c.topic, consumer_positions.c.partition, consumer_positions.c.position)
)
_given = array_rows("given", event_id=sa.Text, topic=sa.Text, partition=sa.Integer, offset=sa.BigInteger)
_has_come = sa.exists().where(inbox.c.consumer == sa.bindparam("consumer"), inbox.c.event_id == _given.c.event_id)
_is_poison = sa.exists().where(
    poison.c.topic == _given.c.topic,
    poison.c.partition == _given.c.partition,
    poison.c.offset <= _given.c.offset,
    sa.func.coalesce(poison.c.last_offset, poison.c.offset) >= _given.c.offset,
)
_NOT_CONSUMED = prepare(sa.select(_given.c.event_id).where(~_has_come, ~_is_poison))


async def _database_time(pool: Pool) -> datetime:
    async with reading(pool) as connection:
        now: datetime = await _NOW.fetch_value(connection)
    return now


class EventsAreOnKafka(Check):
    """Every event of the outbox that counts as published is on its topic. Repair: it is published again."""

    name = "event_not_on_kafka"
    most_repairs = 2

    def __init__(self, bootstrap: str, topics: Sequence[str], settled: timedelta = SETTLED) -> None:
        self._reader = TopicReader(bootstrap, topics)
        self._topics = list(topics)
        self._settled = settled
        # By id, when Kafka got it, in milliseconds.
        self._seen: dict[str, int] = {}
        # Written and not seen on Kafka yet, the oldest first.
        self._unseen: dict[str, Finding] = {}
        self._known_until: datetime | None = None

    async def find(self, pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        until = await _database_time(pool) - self._settled
        since = max(self._known_until or until - WINDOW, until - WINDOW)
        async with reading(pool) as connection:
            rows = await _WRITTEN.fetch_all(connection, since=since, until=until, topics=self._topics)
            self._unseen |= {str(row["id"]): Finding.of_row({**dict(row), "subject": row["id"]}) for row in rows}
            unseen_ids = [UUID(each) for each in self._unseen]
            sent = {str(row["id"]) for row in await _SENT.fetch_all(connection, ids=unseen_ids)}
        # Only now: what the outbox said to be sent is on the topic by now.
        self._seen |= {event.id: event.timestamp for event in await self._reader.read(since - SETTLED)}
        unseen = [(each, finding) for each, finding in self._unseen.items() if each not in self._seen]
        self._unseen = dict(unseen[-MOST_WAITING:])
        self._known_until = until
        keep_from = (until - SETTLED).timestamp() * 1000
        self._seen = {each: at for each, at in self._seen.items() if at > keep_from}
        return [finding for each, finding in self._unseen.items() if each in sent][:most]

    async def repair(self, connection: Connection, finding: Finding) -> None:
        await publish_again(connection, UUID(finding.subject), finding.key or "")


class EventsAreConsumed(Check):
    """Every event on a consumed topic that the consumer has passed is in the inbox, or stored as poison. Repair: it is
    processed by its handler."""

    name = "event_not_consumed"
    most_repairs = 1

    def __init__(
        self, bootstrap: str, topics: Sequence[str], consumer: str, handlers: Handlers, settled: timedelta = SETTLED
    ) -> None:
        self._reader = TopicReader(bootstrap, topics)
        self._settled = settled
        self._consumer = consumer
        self._handlers = handlers
        self._waiting: dict[str, TopicEvent] = {}
        self._missing: set[str] = set()
        self._records: dict[str, ConsumerRecord] = {}

    async def find(self, pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        now = await _database_time(pool)
        for event in await self._reader.read(now - WINDOW):
            if event.type in self._handlers:
                self._waiting[event.id] = event
        for event_id in list(self._waiting)[:-MOST_WAITING]:
            del self._waiting[event_id]
        passed = await self._passed(pool, (now - self._settled).timestamp() * 1000)
        missing = await self._not_consumed(pool, passed)
        for event in passed:
            if event.id not in missing:
                del self._waiting[event.id]
        # What is missing twice: a record that waited for a lock has been processed by then.
        confirmed = [self._waiting[each] for each in missing & self._missing][:most]
        self._missing = missing
        new = [event for event in confirmed if event.id not in self._records]
        self._records = {event.id: self._records[event.id] for event in confirmed if event.id in self._records}
        self._records |= await self._reader.fetch(new)
        return [
            Finding(event.id, event.key or None, {"type": event.type, "topic": event.topic, "offset": event.offset})
            for event in confirmed
        ]

    async def repair(self, connection: Connection, finding: Finding) -> None:
        record = self._records[finding.subject]
        incoming = read(record, self._handlers)
        if incoming is not None:
            with ConsumerSpans(self._consumer, 1) as spans:
                await process_new(connection, self._consumer, self._handlers, [(record, incoming)], spans)

    async def _passed(self, pool: Pool, before: float) -> list[TopicEvent]:
        """The events that are old enough and before the consumer's position."""
        async with reading(pool) as connection:
            rows = await _POSITIONS.fetch_all(connection)
        positions = {(row["topic"], row["partition"]): row["position"] for row in rows}
        return [
            event
            for event in self._waiting.values()
            if event.timestamp < before and event.offset < positions.get((event.topic, event.partition), 0)
        ]

    async def _not_consumed(self, pool: Pool, events: Sequence[TopicEvent]) -> set[str]:
        if not events:
            return set()
        async with reading(pool) as connection:
            rows = await _NOT_CONSUMED.fetch_all(
                connection,
                consumer=self._consumer,
                event_ids=[event.id for event in events],
                topics=[event.topic for event in events],
                partitions=[event.partition for event in events],
                offsets=[event.offset for event in events],
            )
        return {row["event_id"] for row in rows}
