"""Kafka topics of one test, and their records."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from common.messaging.envelope import parse
from common.messaging.kafka.topics import create_topics
from support.waiting import eventually

_numbers = itertools.count(1)


class MakeTopic(Protocol):
    async def __call__(self, *, partitions: int = 3) -> str: ...


class Topics:
    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def create(self, *, partitions: int = 3) -> str:
        """A topic with a new name, once the broker shows it to clients."""
        name = f"topic-{next(_numbers)}"
        await create_topics(self._bootstrap, [name], partitions=partitions)

        async def is_visible() -> bool:
            return await self.partitions(name) == partitions

        await eventually(is_visible)
        return name

    async def sequences(self, topic: str) -> tuple[dict[str, list[int]], int]:
        """For each key the sequences of its events in the order of their first occurrences, and the number of repeats
        (records of an event id that occurred before)."""
        sequences_of_key: dict[str, list[int]] = {}
        event_ids: set[str] = set()
        events = [parse(record) for record in await self.records(topic)]
        for event in events:
            if event.id not in event_ids:
                event_ids.add(event.id)
                sequences_of_key.setdefault(event.key, []).append(event.sequence)
        return sequences_of_key, len(events) - len(event_ids)

    async def partitions(self, topic: str) -> int:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            return len((await admin.describe_topics([topic]))[0]["partitions"])
        finally:
            await admin.close()

    async def records(self, topic: str) -> list[ConsumerRecord]:
        """All that is in the topic now, in log order per partition, read without joining a group."""
        async with _consumer(self._bootstrap) as consumer:
            partitions = [TopicPartition(topic, number) for number in range(await self.partitions(topic))]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            all_records = []
            while any([await consumer.position(each) < ends[each] for each in partitions]):
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    all_records += batch
            return all_records


@asynccontextmanager
async def _consumer(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
