"""Outbox rows to Kafka: what the broker has acknowledged, what it refuses for good, and what cannot be sent now."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from common import failpoints
from common.messaging.envelope import event_headers
from common.messaging.kafka import metadata_task
from common.messaging.kafka.partitioner import partition_of
from common.messaging.outgoing import cluster
from common.messaging.outgoing.holds import WHOLE_TOPIC, Hold, Partition, divide
from common.messaging.outgoing.pending_events import READY, Row
from common.messaging.outgoing.producer_start import Producer, first_to_start

REQUEST_SECONDS = 10
# An idempotent producer never gives up by itself.
DELIVERY_SECONDS = 30
HURRIED_DELIVERY_SECONDS = 2
# How long a partition's batch is waited for while there are others that need not wait for it.
PATIENCE_SECONDS = 1.0
SECONDS_BETWEEN_LOOKS = 0.1
BATCH_BYTES = 262_144

# Refusals that no repetition changes. A topic that is missing or forbidden is not among them: somebody can mend that.
_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError)
_NOTHING_HELD: Mapping[Partition, Hold] = {}


@dataclass(slots=True)
class Delivery:
    """What became of rows handed over. The acknowledged ones are a prefix of every key's rows."""

    acknowledged: list[Row] = field(default_factory=list)
    refused: list[tuple[Row, str]] = field(default_factory=list)
    # Refused together with others: which of them is to blame shows when each is sent alone.
    suspects: list[Row] = field(default_factory=list)
    # What takes no events now, and why; some of it had none to take.
    unavailable: dict[Partition, str] = field(default_factory=dict)
    # Rows that wait for these, in their order.
    held_back: dict[Partition, list[Row]] = field(default_factory=dict)
    failure: str | None = None

    def hold_back(self, partition: Partition, rows: Iterable[Row]) -> None:
        self.held_back.setdefault(partition, []).extend(rows)


@dataclass(slots=True, eq=False)
class _Sending:
    """One partition's rows on their way, batch by batch."""

    partition: Partition
    rows: Sequence[Row]
    acknowledged: int = 0
    waits_since: float | None = None
    task: "asyncio.Task[None] | None" = None


class Publisher:
    """A producer that is replaced after every failure.

    aiokafka leaves a gap in its sequence numbers after a refusal, and would go on for ever with what was given up.
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
        if self._producer is not None:
            if not metadata_task.is_lost(self._producer.client):
                return self._producer
            await self.discard()
        self._producer = await first_to_start(self._new_producer, self._bootstrap, self._topics, REQUEST_SECONDS)
        return self._producer

    def _new_producer(self, servers: Sequence[str]) -> Producer:
        return Producer(
            bootstrap_servers=list(servers),
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_SECONDS * 1000,
        )

    async def discard(self) -> None:
        """Let go of the producer, and of whatever it was about to send, within seconds."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.abandon()

    async def deliver(
        self,
        rows: Sequence[Row],
        *,
        may_send: Callable[[], bool],
        alone: Collection[int] = (),
        hurry: asyncio.Event,
        holds: Mapping[Partition, Hold] = _NOTHING_HELD,
        patience: float = PATIENCE_SECONDS,
    ) -> Delivery:
        """Send rows, in their order per partition, and wait for the acknowledgements.

        A partition's next batch goes out only after the one before was acknowledged, so nothing is ever stepped over.
        `may_send` is asked before each batch. Rows whose position is in `alone` travel in a batch of their own.
        `hurry` cuts the wait short. What has to wait for one of `holds` is not sent. A partition that takes nothing for
        `patience` seconds is given up where others have to wait for it. Raises `KafkaError` or `TimeoutError` when
        there is no broker to begin with.
        """
        producer = await self.connect()
        delivery = Delivery()
        sendings = await self._sort(producer, rows, holds, delivery)
        for sending in sendings:
            sending.task = asyncio.create_task(self._send(producer, sending, may_send, alone, delivery))
        tasks = [sending.task for sending in sendings if sending.task is not None]
        try:
            if tasks:
                await _watch(
                    producer, sendings, asyncio.gather(*tasks, return_exceptions=True), hurry, patience, delivery
                )
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        given_up = [sending for sending in sendings if sending.partition in delivery.unavailable]
        for sending in given_up:
            delivery.hold_back(sending.partition, sending.rows[sending.acknowledged :])
        if given_up:
            await self.discard()
        return delivery

    async def _sort(
        self, producer: Producer, rows: Sequence[Row], holds: Mapping[Partition, Hold], delivery: Delivery
    ) -> list[_Sending]:
        """What is to be sent to each partition. The rest goes to `delivery.held_back`."""
        partitions: dict[Partition, list[Row]] = {}
        for topic, of_topic in _by_topic(rows).items():
            self._topics.add(topic)
            whole, asked = (topic, WHOLE_TOPIC), of_topic
            if whole in holds:
                delivery.hold_back(whole, _ready(of_topic))
                asked = [row for row in of_topic if row["hold"] != READY]
            count = await cluster.partition_count(producer.client, topic) if asked else 0
            if count is None:
                delivery.unavailable[whole] = "missing or forbidden"
                delivery.hold_back(whole, _ready(asked))
                continue
            for row in asked:
                partitions.setdefault((topic, partition_of(row["key"], count)), []).append(row)
        sendings = []
        for partition, of_partition in partitions.items():
            divided = divide(holds, partition, of_partition)
            for held, waiting in divided.to_hold.items():
                delivery.hold_back(held, waiting)
            if divided.to_send:
                sendings.append(_Sending(partition, divided.to_send))
        return await _with_leader(producer.client, sendings, delivery)

    async def _send(
        self,
        producer: Producer,
        sending: _Sending,
        may_send: Callable[[], bool],
        alone: Collection[int],
        delivery: Delivery,
    ) -> None:
        topic, partition = sending.partition
        for batch, in_batch in _batches(producer, self._source, sending.rows, alone):
            if not may_send():
                return
            sending.waits_since = time.monotonic()
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
                if producer._sender.sender_task.done():  # no partition gets anything through this producer any more
                    delivery.failure = f"{topic}: {error!r}"
                else:
                    delivery.unavailable[sending.partition] = repr(error)
                return
            finally:
                sending.waits_since = None
            delivery.acknowledged += in_batch
            sending.acknowledged += len(in_batch)

    async def answers(self, partition: Partition) -> bool:
        """Whether the topic exists and the partition's leader answers: all that can be told without an event."""
        client = (await self.connect()).client
        self._topics.add(partition[0])
        if await cluster.partition_count(client, partition[0]) is None:
            return False
        if partition[1] == WHOLE_TOPIC:
            return True
        is_fresh, broker = await cluster.refresh(client), cluster.leader(client, partition)
        return is_fresh and broker is not None and await cluster.answers(client, broker)


def _ready(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["hold"] == READY]


def _by_topic(rows: Iterable[Row]) -> dict[str, list[Row]]:
    topics: dict[str, list[Row]] = {}
    for row in rows:
        topics.setdefault(row["topic"], []).append(row)
    return topics


async def _with_leader(client: Any, sendings: list[_Sending], delivery: Delivery) -> list[_Sending]:
    """Nothing is handed to a producer for a partition without a leader: it would ask for one without a pause, and send
    nothing to the others in between."""
    if all(cluster.leader(client, each.partition) is not None for each in sendings):
        return sendings
    await cluster.refresh(client)
    led = []
    for each in sendings:
        if cluster.leader(client, each.partition) is None:
            delivery.unavailable[each.partition] = "no leader"
            delivery.hold_back(each.partition, each.rows)
        else:
            led.append(each)
    return led


async def _watch(
    producer: Producer,
    sendings: Sequence[_Sending],
    everything: asyncio.Future[Any],
    hurry: asyncio.Event,
    patience: float,
    delivery: Delivery,
) -> None:
    """Until all have ended, or were given up."""
    hurried = asyncio.create_task(hurry.wait())
    either: set[asyncio.Future[Any]] = {everything, hurried}
    deadline = time.monotonic() + DELIVERY_SECONDS
    while not everything.done() and not hurried.done() and time.monotonic() < deadline:
        await asyncio.wait(either, timeout=SECONDS_BETWEEN_LOOKS, return_when=asyncio.FIRST_COMPLETED)
        _give_up_silent(producer, sendings, patience, delivery)
    if hurried.done() and not everything.done():
        await asyncio.wait({everything}, timeout=HURRIED_DELIVERY_SECONDS)
    hurried.cancel()
    if not everything.done():
        delivery.failure = delivery.failure or "no acknowledgement in time"


def _give_up_silent(producer: Producer, sendings: Sequence[_Sending], patience: float, delivery: Delivery) -> None:
    """Give up what has waited long enough; with it, where its broker says nothing at all, all that this broker leads.

    A cluster's only broker is waited for, unless it answers: nobody else could take anything in the meantime.
    """
    client, now = producer.client, time.monotonic()
    for sending in sendings:
        if sending.waits_since is None or now - sending.waits_since < patience:
            continue
        broker = cluster.leader(client, sending.partition)
        if cluster.has_answered(producer, sending.partition, broker):
            delivery.unavailable[sending.partition] = f"broker {broker} does not accept its events at the moment"
        elif cluster.has_other_brokers(client, broker):
            silent = [] if broker is None else cluster.led_by(client, broker)
            for partition in (sending.partition, *silent):
                delivery.unavailable[partition] = "no leader" if broker is None else f"broker {broker} does not answer"
    for sending in sendings:
        if sending.task is not None and sending.partition in delivery.unavailable:
            sending.task.cancel()


def _batches(
    producer: Producer, source: str, rows: Iterable[Row], alone: Collection[int]
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
