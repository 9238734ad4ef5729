"""A Kafka producer that starts, answers questions about the cluster and stops without waiting long for a broker."""

import asyncio
import contextlib
import random
import time
from collections.abc import Collection, Sequence
from typing import cast

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from common.cancellation import shielded
from common.internals import aiokafka
from common.messaging.outgoing.holds import Partition

REQUEST_SECONDS = 10
ANSWER_SECONDS = 1.0
BATCH_BYTES = 262_144
STOP_SECONDS = 1.0
# A start that meets a broker that hangs waits for the request's time limit; the next may meet others.
SECONDS_BETWEEN_STARTS = 0.25
MAX_STARTS = 6


class Producer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka is untyped
    """An idempotent producer that can be abandoned in the middle of a request."""

    def __init__(self, servers: Sequence[str]) -> None:
        aiokafka.close_cancelled_bootstraps()
        super().__init__(
            bootstrap_servers=list(servers),
            enable_idempotence=True,
            acks="all",
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_SECONDS * 1000,
        )
        aiokafka.bound_metadata_updates(self.client, ANSWER_SECONDS)
        self._requests_under_way = aiokafka.track_requests(self)

    @property
    def is_broken(self) -> bool:
        """Whether nothing more can be sent through it to any partition."""
        sender = aiokafka.sender_task(self)
        return aiokafka.has_lost_metadata_task(self.client) or (sender is not None and sender.done())

    async def refresh(self) -> bool:
        """Ask for the cluster's metadata. Returns whether a broker answered."""
        try:
            return cast(bool, await asyncio.wait_for(self.client.force_metadata_update(), 2 * ANSWER_SECONDS))
        except TimeoutError:
            return False

    async def partition_count(self, topic: str) -> int | None:
        """None when the topic is missing or forbidden. Raises `TimeoutError` when no broker answers."""
        self.client.add_topic(topic)
        answers = 0
        # Asked twice: an answer may have been under way already when the topic was added to the question.
        for _ in range(4):
            if partitions := self.client.cluster.partitions_for_topic(topic):
                return len(partitions)
            if answers == 2:
                return None
            answers += await self.refresh()
        raise TimeoutError(f"no broker says how many partitions {topic} has")

    def leader(self, partition: Partition) -> int | None:
        """The broker that accepts this partition's records; None when none is known."""
        broker: int | None = self.client.cluster.leader_for_partition(TopicPartition(*partition))
        return None if broker == -1 else broker

    def led_by(self, broker: int) -> list[Partition]:
        return [(each.topic, each.partition) for each in self.client.cluster.partitions_for_broker(broker) or ()]

    def has_other_brokers(self, broker: int | None) -> bool:
        return any(each.nodeId != broker for each in self.client.cluster.brokers())

    async def answers(self, broker: int) -> bool:
        """Whether this broker answers a request within a second."""
        try:
            await asyncio.wait_for(self.client.send(broker, MetadataRequest([])), ANSWER_SECONDS)
        except (KafkaError, TimeoutError):
            return False
        return True

    async def abandon(self) -> None:
        """Stop without sending what is left. `stop()` waits until all is sent, and so for ever while a broker is
        unavailable; and requests have to end with their producer, or Kafka would store them whenever the broker is
        back. A task that is cancelled during it finishes it first, or connections would stay open."""
        await shielded(self._abandon())

    async def _abandon(self) -> None:
        aiokafka.forget_lost_metadata_task(self.client)
        aiokafka.abort_connections(self.client)
        sender = aiokafka.sender_task(self)
        tasks = {*self._requests_under_way, *([] if sender is None else [sender])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.client.close(), STOP_SECONDS)
        aiokafka.mark_closed(self)


async def start_producer(servers: Sequence[str], topics: Collection[str]) -> Producer:
    """A producer that is connected and knows these topics: the first of several, each of which begins with another
    server. Raises `KafkaError` or `TimeoutError` when no broker answers within `REQUEST_SECONDS`."""
    starts: set[asyncio.Task[Producer]] = set()
    deadline, start_count = time.monotonic() + REQUEST_SECONDS, 0
    try:
        while (remaining_seconds := deadline - time.monotonic()) > 0:
            may_begin = start_count < MAX_STARTS
            if may_begin:
                starts.add(asyncio.create_task(_start(random.sample(servers, len(servers)), topics)))
                start_count += 1
            wait = SECONDS_BETWEEN_STARTS if may_begin else remaining_seconds
            done, _ = await asyncio.wait(starts, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                if each.exception() is None:
                    starts.remove(each)
                    return each.result()
            if done and done == starts:
                done.pop().result()
            starts -= done
        raise TimeoutError("no broker answers")
    finally:
        await _end(starts)


async def _start(servers: Sequence[str], topics: Collection[str]) -> Producer:
    producer = Producer(servers)
    try:
        await producer.start()
        if topics:
            producer.client.set_topics(topics)
            await producer.refresh()
    except BaseException:
        await producer.abandon()
        raise
    return producer


async def _end(starts: Collection["asyncio.Task[Producer]"]) -> None:
    for each in starts:
        each.cancel()
    for result in await asyncio.gather(*starts, return_exceptions=True):
        if isinstance(result, Producer):
            await result.abandon()
