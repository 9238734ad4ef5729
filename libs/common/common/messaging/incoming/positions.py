"""Up to which offset a consumer has processed each assigned partition, in the present generation of its group."""

import asyncio
from collections.abc import Iterable, Sequence

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

        To be done before their first commit; afterwards it is unknown what was never there to be read. Raises
        `KafkaError`.
        """
        async with self._finding:
            await self._find_starts(consumer, [each for each in partitions if each not in self.processed])

    async def _find_starts(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        if not partitions:
            return
        generation = self.generation
        oldest = await consumer.beginning_offsets(partitions)
        ends = await end_of_log(consumer, partitions)
        committed = {each: await consumer.committed(each) for each in partitions}
        if generation != self.generation:
            raise KafkaError("the partitions changed hands")
        for partition, offset in committed.items():
            start = _checked_start(partition, offset, oldest[partition], ends[partition])
            self.processed.setdefault(partition, start)


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
