"""Outbox rows to Kafka: what the broker has acknowledged, what it refuses for good, and what is not known."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from common import failpoints
from common.messaging import metadata_task
from common.messaging.envelope import event_headers
from common.messaging.outgoing import Row
from common.messaging.partitioner import partition_of

REQUEST_SECONDS = 10
# An idempotent producer never gives up by itself.
DELIVERY_SECONDS = 30
HURRIED_DELIVERY_SECONDS = 2
METADATA_SECONDS = 2
STOP_SECONDS = 1
BATCH_BYTES = 262_144

# Refusals that no repetition changes. A topic that is missing or forbidden is not among them: somebody can mend that.
_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass(slots=True)
class Delivery:
    """What became of rows handed over. The acknowledged ones are a prefix of every key's rows."""

    acknowledged: list[Row] = field(default_factory=list)
    refused: list[tuple[Row, str]] = field(default_factory=list)
    # Refused together with others: which of them is to blame shows when each is sent alone.
    suspects: list[Row] = field(default_factory=list)
    unavailable_topics: set[str] = field(default_factory=set)
    failure: str | None = None


class Publisher:
    """A producer that is replaced after every failure.

    aiokafka leaves a gap in its sequence numbers after a refusal, and would go on for ever with what was given up.
    """

    def __init__(self, bootstrap: str, source: str) -> None:
        self._bootstrap = bootstrap.split(",")
        self._source = source
        self._producer: AIOKafkaProducer | None = None

    @property
    def is_connected(self) -> bool:
        return self._producer is not None

    async def connect(self) -> None:
        """Raises `KafkaError` or `TimeoutError` when no broker answers."""
        if self._producer is not None:
            if not metadata_task.is_lost(self._producer.client):
                return
            await self.discard()
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_SECONDS * 1000,
        )
        try:
            await asyncio.wait_for(producer.start(), REQUEST_SECONDS)
        except BaseException:
            await _stop(producer)
            raise
        self._producer = producer

    async def discard(self) -> None:
        """Let go of the producer, and of whatever it was about to send, within seconds."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)

    async def deliver(
        self,
        rows: Sequence[Row],
        *,
        may_send: Callable[[], bool],
        alone: Collection[int] = (),
        hurry: asyncio.Event,
    ) -> Delivery:
        """Send rows, in their order per partition, and wait for the acknowledgements.

        A partition's next batch goes out only after the one before was acknowledged, so nothing is ever stepped over.
        `may_send` is asked before each batch. Rows whose position is in `alone` travel in a batch of their own.
        `hurry` cuts the wait short. Raises `KafkaError` or `TimeoutError` when there is no broker to begin with.
        """
        await self.connect()
        producer = self._producer
        delivery = Delivery()
        partitions: dict[tuple[str, int], list[Row]] = {}
        counts = await self._partition_counts(producer, {row["topic"] for row in rows}, delivery)
        for row in rows:
            if count := counts.get(row["topic"]):
                partitions.setdefault((row["topic"], partition_of(row["key"], count)), []).append(row)
        sending = [
            asyncio.create_task(self._deliver(producer, *partition, rows, may_send, alone, delivery))
            for partition, rows in partitions.items()
        ]
        try:
            if sending and not await _all_done(sending, hurry):
                delivery.failure = delivery.failure or "no acknowledgement in time"
        finally:
            for task in sending:
                task.cancel()
            results = await asyncio.gather(*sending, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return delivery

    async def _partition_counts(
        self, producer: AIOKafkaProducer, topics: Iterable[str], delivery: Delivery
    ) -> dict[str, int]:
        counts = {}
        for topic in topics:
            try:
                counts[topic] = len(await asyncio.wait_for(producer.partitions_for(topic), METADATA_SECONDS))
            except (KafkaError, TimeoutError):
                delivery.unavailable_topics.add(topic)
        return counts

    async def _deliver(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        partition: int,
        rows: Sequence[Row],
        may_send: Callable[[], bool],
        alone: Collection[int],
        delivery: Delivery,
    ) -> None:
        for batch, in_batch in _batches(producer, self._source, rows, alone):
            if not may_send():
                return
            try:
                sent = await producer.send_batch(batch, topic, partition=partition)
                failpoints.hit("relay.after_send_before_ack")
                await sent
            except _REFUSALS as error:
                delivery.failure = str(error)
                if len(in_batch) == 1:
                    delivery.refused.append((in_batch[0], str(error)))
                else:
                    delivery.suspects += in_batch
                return
            except KafkaError as error:
                delivery.failure = f"{topic}: {error!r}"
                return
            delivery.acknowledged += in_batch


def _batches(
    producer: AIOKafkaProducer, source: str, rows: Iterable[Row], alone: Collection[int]
) -> Iterator[tuple[Any, list[Row]]]:
    """Fill batches one after the other; a row that does not fit begins the next one."""
    batch, in_batch = producer.create_batch(), list[Row]()
    for row in rows:
        key, value, headers = row["key"].encode(), row["payload"], event_headers(source, row)
        must_part = alone and in_batch and (row["position"] in alone or in_batch[-1]["position"] in alone)
        if must_part or batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            yield batch, in_batch
            batch, in_batch = producer.create_batch(), []
            batch.append(key=key, value=value, timestamp=None, headers=headers)
        in_batch.append(row)
    yield batch, in_batch


async def _all_done(tasks: Iterable[asyncio.Task[None]], hurry: asyncio.Event) -> bool:
    everything = asyncio.gather(*tasks, return_exceptions=True)
    hurried = asyncio.create_task(hurry.wait())
    either: set[asyncio.Future[Any]] = {everything, hurried}
    await asyncio.wait(either, timeout=DELIVERY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if hurried.done() and not everything.done():
        await asyncio.wait({everything}, timeout=HURRIED_DELIVERY_SECONDS)
    hurried.cancel()
    return everything.done()


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop without sending what is left. `producer.stop()` waits until all is sent, and so for ever while the broker is
    away; and what is given up has to end with its producer, or it would land in Kafka whenever the broker is back."""
    sender = producer._sender.sender_task
    metadata_task.forget(producer.client)
    if sender is not None:
        sender.cancel()
    await producer.client.close()
    if sender is not None and not (await asyncio.wait({sender}, timeout=STOP_SECONDS))[0]:
        sender.cancel()  # it was waiting for its requests; this ends them too
    producer._closed = True
