"""Up to which offset, and up to which time, a consumer has processed each of its partitions (ADR 9)."""

import asyncio
import math
import time
from collections.abc import Iterable
from datetime import datetime

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from common.internals.aiokafka import end_of_log

_log = structlog.get_logger(__name__)


class Positions:
    """`generation` counts the times that partitions were revoked; `processed` are the offsets after what is committed
    in the database, of partitions where reading has begun."""

    def __init__(self) -> None:
        self.generation = 0
        self.is_assigned = False
        self.processed: dict[TopicPartition, int] = {}
        self._finding = asyncio.Lock()

    def revoke(self) -> None:
        self.generation += 1
        self.is_assigned = False
        self.processed.clear()

    async def find_starts(self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
        """Learn where reading begins in new partitions: at the committed offset, or at the oldest.

        Call it before the first commit of a new partition: a committed offset no longer shows which records Kafka had
        deleted before they were read. Raises `KafkaError`, also if the partitions were assigned anew meanwhile.
        """
        async with self._finding:
            new_partitions = [each for each in partitions if each not in self.processed]
            if not new_partitions:
                return
            generation = self.generation
            oldest = await consumer.beginning_offsets(new_partitions)
            ends = await end_of_log(consumer, new_partitions)
            committed_offsets = {each: await consumer.committed(each) for each in new_partitions}
            if generation != self.generation:
                raise KafkaError("the partitions changed hands")
            for each, offset in committed_offsets.items():
                self.processed.setdefault(each, _checked_start(each, offset, oldest[each], ends[each]))


class CaughtUpTimes:
    """Computes `caught_up_at` of `consumer_positions`, a moment of the database's clock: all records that were in the
    partition then are processed.

    It moves on under a steady stream too, where the lag is never 0: an end that one measurement saw is passed by a
    later one. It does not move on for `settle_seconds` after Kafka did not answer (`await_backlog`): events that were
    written meanwhile may still be in the producers' outboxes. Events from such a backlog prolong the time
    (`prolong_wait`).
    """

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._settled_at = -math.inf
        self._ends_to_pass: dict[TopicPartition, tuple[int, datetime]] = {}

    def forget_partitions(self) -> None:
        self._ends_to_pass.clear()

    def forget(self, partition: TopicPartition) -> None:
        self._ends_to_pass.pop(partition, None)

    def await_backlog(self) -> None:
        """Events may be on their way that are not in Kafka yet: count nothing as caught up for a while."""
        self._settled_at = time.monotonic() + self._settle_seconds
        self._ends_to_pass.clear()

    def prolong_wait(self) -> None:
        if time.monotonic() < self._settled_at:
            self.await_backlog()

    def measure(
        self, partition: TopicPartition, processed: int, end: int, *, asked_at: datetime, began: float
    ) -> datetime | None:
        """The moment for a partition whose log ended at `end` at the database's time `asked_at` or later; None if there
        is no new one. `began` is `time.monotonic()` from before the measurement."""
        if began < self._settled_at:
            return None
        if processed >= end:
            self.forget(partition)
            return asked_at
        end_then, asked_then = self._ends_to_pass.setdefault(partition, (end, asked_at))
        if processed < end_then:
            return None
        self._ends_to_pass[partition] = end, asked_at
        return asked_then


def _checked_start(partition: TopicPartition, committed: int | None, oldest: int, end: int) -> int:
    if committed is None:
        return oldest
    if committed > end:
        _log.error(
            "the topic's offsets began anew; it is read from its beginning",
            topic=partition.topic, partition=partition.partition, committed=committed, end=end,
        )  # fmt: skip
        return oldest
    if committed < oldest:
        _log.critical(
            "events were deleted before they were read; have their service send them again (outbox send-again)",
            alert="events_lost", topic=partition.topic, partition=partition.partition, lost=oldest - committed,
        )  # fmt: skip
    return max(committed, oldest)
