"""Sends outbox rows to Kafka: which were acknowledged, which are rejected permanently, and which cannot be sent now."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import itemgetter

from common.messaging.kafka.partitioner import partition_of
from common.messaging.outgoing.delivery import Delivery, PartitionRows, wait_for_acknowledgements
from common.messaging.outgoing.holds import WHOLE_TOPIC, Hold, Partition, divide
from common.messaging.outgoing.pending_events import READY, Row, grouped
from common.messaging.outgoing.producer import Producer, start_producer

# How long a partition's batch is waited for while there are others that need not wait for it.
PATIENCE_SECONDS = 1.0


class Publisher:
    """A producer that is replaced after every failure.

    aiokafka leaves a gap in its sequence numbers after a refusal, and never stops sending what was given up.
    """

    def __init__(self, bootstrap: str, source: str) -> None:
        self._bootstrap = bootstrap.split(",")
        self._source = source
        self._producer: Producer | None = None
        self._topics: set[str] = set()

    @property
    def is_connected(self) -> bool:
        return self._producer is not None

    async def connect(self) -> Producer:
        """Raises `KafkaError` or `TimeoutError` when no broker answers."""
        if self._producer is not None and self._producer.is_broken:
            await self.discard()
        if self._producer is None:
            self._producer = await start_producer(self._bootstrap, self._topics)
        return self._producer

    async def discard(self) -> None:
        """Discard the producer and the events that it has not sent yet, within seconds."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.abandon()

    async def deliver(
        self,
        rows: Sequence[Row],
        *,
        may_send: Callable[[], bool],
        hurry: asyncio.Event,
        holds: Mapping[Partition, Hold],
        alone: Collection[int] = (),
        patience: float = PATIENCE_SECONDS,
    ) -> Delivery:
        """Send rows, in their order per partition (`PartitionRows.send`), and wait for the acknowledgements.

        `hurry` shortens the wait. Rows that wait for one of `holds` are not sent. A partition that accepts nothing
        for `patience` seconds is given up where others have to wait for it (ADR 18). Raises `KafkaError` or
        `TimeoutError` when no broker answers at the beginning.
        """
        producer = await self.connect()
        delivery = Delivery()
        sending = await self._to_send(producer, rows, holds, delivery)
        for each in sending:
            send = each.send(producer, self._source, delivery, may_send=may_send, alone=alone)
            each.task = asyncio.create_task(send)
        tasks = [each.task for each in sending if each.task is not None]
        try:
            await wait_for_acknowledgements(producer, sending, delivery, patience=patience, hurry=hurry)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        given_up = [each for each in sending if each.partition in delivery.unavailable]
        for each in given_up:
            delivery.hold_back(each.partition, each.unsent)
        if given_up:
            await self.discard()
        return delivery

    async def _to_send(
        self, producer: Producer, rows: Sequence[Row], holds: Mapping[Partition, Hold], delivery: Delivery
    ) -> list[PartitionRows]:
        """What is to be sent to each partition. The rest goes to `delivery.held_back`."""
        partitions: dict[Partition, list[Row]] = {}
        for topic, rows_of_topic in grouped(rows, itemgetter("topic")).items():
            partitions |= await self._by_partition(producer, topic, rows_of_topic, holds, delivery)
        sending = []
        for partition, rows_of_partition in partitions.items():
            to_send, to_hold = divide(holds, partition, rows_of_partition)
            for hold_partition, waiting_rows in to_hold.items():
                delivery.hold_back(hold_partition, waiting_rows)
            if to_send:
                sending.append(PartitionRows(partition, to_send))
        return await _with_leader(producer, sending, delivery)

    async def _by_partition(
        self,
        producer: Producer,
        topic: str,
        rows: Sequence[Row],
        holds: Mapping[Partition, Hold],
        delivery: Delivery,
    ) -> dict[Partition, list[Row]]:
        """One topic's rows; no ready ones while the whole topic is held back, and none when it is unavailable."""
        self._topics.add(topic)
        whole_topic = topic, WHOLE_TOPIC
        if whole_topic in holds:
            delivery.hold_back(whole_topic, _ready(rows))
            rows = [row for row in rows if row["hold"] != READY]
        count = await producer.partition_count(topic) if rows else 0
        if count is None:
            delivery.unavailable[whole_topic] = "missing or forbidden"
            delivery.hold_back(whole_topic, _ready(rows))
            return {}
        return grouped(rows, lambda row: (topic, partition_of(row["key"], count)))

    async def answers(self, partition: Partition) -> bool:
        """Whether the topic exists and the partition's leader answers: all that is known without sending an event."""
        producer = await self.connect()
        self._topics.add(partition[0])
        if await producer.partition_count(partition[0]) is None:
            return False
        if partition[1] == WHOLE_TOPIC:
            return True
        is_fresh, broker = await producer.refresh(), producer.leader(partition)
        return is_fresh and broker is not None and await producer.answers(broker)


def _ready(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["hold"] == READY]


async def _with_leader(producer: Producer, sending: list[PartitionRows], delivery: Delivery) -> list[PartitionRows]:
    """Nothing is handed to a producer for a partition without a leader: it would ask for one without a pause, and send
    nothing to the others in between."""
    if any(producer.leader(each.partition) is None for each in sending):
        await producer.refresh()
    with_leader = []
    for each in sending:
        if producer.leader(each.partition) is None:
            delivery.unavailable[each.partition] = "no leader"
            delivery.hold_back(each.partition, each.rows)
        else:
            with_leader.append(each)
    return with_leader
