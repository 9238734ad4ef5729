"""Reads every event of the four topics, from the first to the last, as any subscriber could: no group, no database."""

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from demo.client import Unexpected

TOPICS = ("articurated.orders", "articurated.returns", "articurated.invoices", "articurated.refunds")
FULL_NAME = "com.articurated.{}.v1"


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as it stands on its topic; `repeat` when an event of the same id came before it."""

    topic: str
    key: str
    type: str
    id: str
    sequence: int
    data: dict[str, Any]
    repeat: bool


async def read_events(bootstrap: str) -> list[Seen]:
    """All events up to now, in the order of each topic and key. Raises `Unexpected` when Kafka does not answer."""
    consumer = AIOKafkaConsumer(*TOPICS, bootstrap_servers=bootstrap.split(","), auto_offset_reset="earliest")
    try:
        async with asyncio.timeout(20):
            await consumer.start()
            records = await _read_to_the_end(consumer)
    except TimeoutError as error:
        raise Unexpected("the events could not be read back from Kafka") from error
    finally:
        await consumer.stop()
    return _distinct(records)


async def _read_to_the_end(consumer: AIOKafkaConsumer) -> list[ConsumerRecord]:
    while {partition.topic for partition in consumer.assignment()} != set(TOPICS):
        await consumer.getmany(timeout_ms=50)  # assigned when the metadata has come
    ends = await consumer.end_offsets(consumer.assignment())
    left = {partition for partition, end in ends.items() if end > 0}
    records: list[ConsumerRecord] = []
    while left:
        for partition, batch in (await consumer.getmany(timeout_ms=500)).items():
            records += [record for record in batch if record.offset < ends[partition]]
        left = {partition for partition in left if await consumer.position(partition) < ends[partition]}
    return records


def _distinct(records: list[ConsumerRecord]) -> list[Seen]:
    seen: list[Seen] = []
    ids: set[str] = set()
    for record in sorted(records, key=lambda record: (record.topic, record.partition, record.offset)):
        headers = {name: value.decode() for name, value in record.headers}
        event_id = headers["ce_id"]
        seen.append(
            Seen(
                topic=record.topic,
                key=record.key.decode(),
                type=headers["ce_type"].removeprefix("com.articurated.").removesuffix(".v1"),
                id=event_id,
                sequence=int(headers["ce_sequence"]),
                data=json.loads(record.value),
                repeat=event_id in ids,
            )
        )
        ids.add(event_id)
    return seen


def expect_gapless(events: list[Seen]) -> None:
    """Raises `Unexpected` when first occurrences of a topic and key do not count 1, 2, 3, … in the order of the log."""
    sequences: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in events:
        if not event.repeat:
            sequences[event.topic, event.key].append(event.sequence)
    for (topic, key), numbers in sequences.items():
        if numbers != list(range(1, len(numbers) + 1)):
            raise Unexpected(f"{topic}: the events of {key} came in the sequence {numbers}")
