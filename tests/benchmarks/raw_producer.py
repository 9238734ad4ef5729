"""The limit of the relay: a process that has the records in memory and produces them as fast as aiokafka can.

    python -m benchmarks.raw_producer <bootstrap> <topic> <file of records> <process id of the broker>

Idempotent, `acks=all`. It fills the batches itself, prepares the next one of a partition while one is sent, uses no
database, and knows the partition of each record. Prints a `Measurement` as JSON.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import msgspec
import uvloop
from aiokafka import AIOKafkaProducer
from benchmarks.measuring import cpu_seconds
from benchmarks.order_events import Record
from common.messaging.kafka.topics import create_topics

BATCH_BYTES = 262_144
_WARM_UP_TOPIC = "warm-up"


class Measurement(TypedDict):
    seconds: float
    processor_seconds: float
    broker_seconds: float


async def main(bootstrap: str, topic: str, records: Sequence[Record], broker: int) -> None:
    partitions: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        partitions[record.partition].append(record)
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, acks="all", max_batch_size=BATCH_BYTES
    )
    await producer.start()
    try:
        await create_topics(bootstrap, [_WARM_UP_TOPIC], partitions=1)
        await producer.send_and_wait(_WARM_UP_TOPIC, b"connects the producer and gives it an id")
        await producer.partitions_for(topic)
        start, processor, broker_before = time.perf_counter(), time.process_time(), cpu_seconds(broker)
        await asyncio.gather(*(_send(producer, topic, number, part) for number, part in partitions.items()))
        measurement = Measurement(
            seconds=time.perf_counter() - start,
            processor_seconds=time.process_time() - processor,
            broker_seconds=cpu_seconds(broker) - broker_before,
        )
    finally:
        await producer.stop()
    print(json.dumps(measurement))


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[Record]) -> None:
    deliveries = []
    batch = producer.create_batch()
    for each in records:
        if batch.append(key=each.key, value=each.value, timestamp=None, headers=each.headers) is None:
            deliveries.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=each.key, value=each.value, timestamp=None, headers=each.headers)
    deliveries.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*deliveries)


if __name__ == "__main__":
    bootstrap, topic, file, broker = sys.argv[1:]
    records = msgspec.msgpack.decode(Path(file).read_bytes(), type=list[Record])
    uvloop.run(main(bootstrap, topic, records, int(broker)))
