"""Kafka records written by hand, valid or not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from common.messaging.envelope import event_headers
from support.events.traceparent import TRACEPARENT

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True)
class RawRecord:
    value: bytes | None
    headers: Headers
    key: bytes | None = b"order-1"

    def with_header(self, name: str, value: bytes | None) -> "RawRecord":
        others = [header for header in self.headers if header[0] != name]
        return replace(self, headers=[*others, (name, value)])

    def without_header(self, name: str) -> "RawRecord":
        return replace(self, headers=[header for header in self.headers if header[0] != name])


def order_shipped_record(order: str, sequence: int = 1, event_type: str = "order.shipped") -> RawRecord:
    """The event of an order that was shipped, as the orders service sends it."""
    row = {
        "id": uuid4(),
        "type": event_type,
        "aggregateid": order,
        "created_at": datetime.now(UTC),
        "sequence": sequence,
        "epoch": 1,
        "key": order,
        "traceparent": TRACEPARENT,
        "causation_id": None,
        "headers": None,
    }
    value = b'{"order": "%s", "sequence": %d}' % (order.encode(), sequence)
    return RawRecord(value, event_headers("orders", row), order.encode())


async def produce(bootstrap: str, topic: str, records: Sequence[RawRecord], partition: int = 0) -> list[int]:
    """Produce the records to one partition in one batch. Returns their offsets."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, max_batch_size=4_000_000)
    await producer.start()
    try:
        acknowledgements = [
            await producer.send(topic, record.value, record.key, partition, headers=list(record.headers))
            for record in records
        ]
        return [(await each).offset for each in acknowledgements]
    finally:
        await producer.stop()
