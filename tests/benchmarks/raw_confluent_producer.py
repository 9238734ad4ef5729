"""The raw producer with confluent-kafka, which is not one of the dependencies of the project.

    python -m benchmarks.raw_confluent_producer <bootstrap> <topic> <file of records> <process id of the broker>

With the same guarantees and size of batches as `raw_producer`; librdkafka fills and sends the batches in threads of its
own. Prints a `Measurement` as JSON.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from benchmarks.measuring import cpu_seconds
from benchmarks.order_events import Record
from benchmarks.raw_producer import BATCH_BYTES, Measurement
from confluent_kafka import Producer


def main(bootstrap: str, topic: str, records: Sequence[Record], broker: int) -> Measurement:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "batch.size": BATCH_BYTES,
            "linger.ms": 5,
            "queue.buffering.max.messages": len(records) + 1,
            "queue.buffering.max.kbytes": 2**21 - 1,
        }
    )
    acknowledged = 0

    def note(error: Any, _message: object) -> None:
        nonlocal acknowledged
        if error is not None:
            raise SystemExit(f"not acknowledged: {error}")
        acknowledged += 1

    producer.list_topics(topic)  # connects the producer
    start, processor, broker_before = time.perf_counter(), time.process_time(), cpu_seconds(broker)
    for each in records:
        producer.produce(topic, each.value, each.key, each.partition, headers=each.headers, on_delivery=note)
        producer.poll(0)
    producer.flush()
    measurement = Measurement(
        seconds=time.perf_counter() - start,
        processor_seconds=time.process_time() - processor,
        broker_seconds=cpu_seconds(broker) - broker_before,
    )
    if acknowledged != len(records):
        raise SystemExit(f"{acknowledged} of {len(records)} records were acknowledged")
    return measurement


if __name__ == "__main__":
    bootstrap, topic, file, broker = sys.argv[1:]
    records = msgspec.msgpack.decode(Path(file).read_bytes(), type=list[Record])
    print(json.dumps(main(bootstrap, topic, records, int(broker))))
