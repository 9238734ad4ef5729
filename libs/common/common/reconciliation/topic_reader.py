"""Reads what is on Kafka topics, outside any consumer group: it commits nothing and disturbs no consumer."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from common.internals.aiokafka import client_of
from common.messaging.envelope import PREFIX
from common.messaging.incoming.batches import UndecodableBatch

_START_SECONDS = 20
_STOP_SECONDS = 3
_READ_SECONDS = 120
_WAIT_MS = 500
_RECORDS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class TopicEvent:
    """The place and the names of an event, without its data. `type` is the short name; `timestamp` is Kafka's, in
    milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str
    id: str
    type: str
    sequence: tuple[int, int]  # with the epoch in front

    @property
    def place(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


class TopicReader:
    """Each `read` continues after the last one; the first begins at a time. A connection is open only while it
    reads."""

    def __init__(self, bootstrap: str, topics: Collection[str]) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._positions: dict[TopicPartition, int] = {}

    async def read(self, since: datetime) -> list[TopicEvent]:
        """All events up to the end of the topics as it is now. `since` is where partitions begin that were not read
        before. Raises `KafkaError`, `OSError`, `TimeoutError` or `LookupError`: the next call reads the same again."""
        events: list[TopicEvent] = []
        async with asyncio.timeout(_READ_SECONDS):
            consumer = await self._start()
            try:
                ends = await self._assign(consumer, since)
                positions = {each: await consumer.position(each) for each in ends}
                while any(positions[each] < end for each, end in ends.items()):
                    batches = await consumer.getmany(timeout_ms=_WAIT_MS, max_records=_RECORDS_AT_ONCE)
                    records = [record for batch in batches.values() for record in batch]
                    events += [event for record in records if (event := _event(record)) is not None]
                    positions = {each: await consumer.position(each) for each in ends}
            finally:
                await consumer.stop()
        self._positions = positions
        return events

    async def fetch(self, events: Sequence[TopicEvent]) -> dict[str, ConsumerRecord]:
        """The records of some events, by the events' ids; those that the topic has no more are left out."""
        records: dict[str, ConsumerRecord] = {}
        if not events:
            return records
        async with asyncio.timeout(_READ_SECONDS):
            consumer = await self._start()
            try:
                for event in events:
                    consumer.assign([event.place])
                    consumer.seek(event.place, event.offset)
                    found = await consumer.getmany(event.place, timeout_ms=10 * _WAIT_MS, max_records=1)
                    for record in found.get(event.place, []):
                        if (same := _event(record)) is not None and same.id == event.id:
                            records[event.id] = record
            finally:
                await consumer.stop()
        return records

    async def _start(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap.split(","),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        try:
            await asyncio.wait_for(consumer.start(), _START_SECONDS)
        except BaseException:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(consumer.stop(), _STOP_SECONDS)
            raise
        return consumer

    async def _assign(self, consumer: AIOKafkaConsumer, since: datetime) -> dict[TopicPartition, int]:
        """Seek to where each partition is read next; returns their ends."""
        await client_of(consumer).set_topics(self._topics)
        partitions = []
        for topic in self._topics:
            numbers = consumer.partitions_for_topic(topic)
            if not numbers:
                raise LookupError(f"Kafka has no topic {topic}")
            partitions += [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        new = [each for each in partitions if each not in self._positions]
        starts = await consumer.offsets_for_times(dict.fromkeys(new, round(since.timestamp() * 1000))) if new else {}
        for each in partitions:
            known = self._positions.get(each)
            start = (ends[each] if starts[each] is None else starts[each].offset) if known is None else known
            # Behind the end: the topic was created again.
            consumer.seek(each, start if start <= ends[each] else 0)
        return ends


def _event(record: ConsumerRecord) -> TopicEvent | None:
    """None for what is no event; the consumer keeps that as poison."""
    if isinstance(record, UndecodableBatch):
        return None
    try:
        headers = {name: value.decode() for name, value in record.headers if value is not None}
        return TopicEvent(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp,
            (record.key or b"").decode(),
            headers["ce_id"],
            headers["ce_type"].removeprefix(PREFIX).rpartition(".v")[0],
            (int(headers["ce_epoch"]), int(headers["ce_sequence"])),
        )
    except (KeyError, ValueError):
        return None
