"""A consumer's progress: measured twice a second for its lag metric, its table of positions and its watchdog."""

import asyncio
import time
from collections.abc import Collection, Mapping
from datetime import datetime

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from prometheus_client import Gauge

from common.database.transactions import FailuresLogged, Pool, reading
from common.internals.aiokafka import end_of_log
from common.messaging.incoming import consumer_positions
from common.messaging.incoming.consumer_positions import PositionReport
from common.messaging.incoming.positions import CaughtUpTimes, Positions
from common.messaging.incoming.watchdog import ANSWER_SECONDS, Watchdog

# A broker that took longer to answer hung: producers may have had to wait for it as well.
LONG_ANSWER_SECONDS = 1.0

_log = structlog.get_logger(__name__)
_lag = Gauge("consumer_lag", "Records of a partition that are not processed yet", ["topic", "partition"])


class Progress(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Follows the rebalances of one consumer; what it knows of partitions ends with their assignment."""

    def __init__(self, pool: Pool, *, stuck_after_seconds: float, settle_seconds: float) -> None:
        self._pool = pool
        self._measured: set[TopicPartition] = set()
        self.positions = Positions()
        self.caught_up = CaughtUpTimes(settle_seconds)
        self.watchdog = Watchdog(stuck_after_seconds)

    async def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        self.positions.revoke()
        self.caught_up.forget_partitions()
        self.watchdog.forget_partitions()
        for partition in self._measured:
            _lag.remove(partition.topic, partition.partition)
        self._measured.clear()

    async def on_partitions_assigned(self, _assigned: Collection[TopicPartition]) -> None:
        self.positions.is_assigned = True
        self.watchdog.restart()

    def mark_processed(self, ends: Mapping[TopicPartition, int], generation: int) -> None:
        """All before these offsets is processed, unless partitions were revoked since `generation`."""
        self.watchdog.restart()
        if generation == self.positions.generation:
            self.positions.processed.update(ends)

    def follow(self, offsets: Mapping[TopicPartition, int]) -> None:
        """As `mark_processed`, with the offsets that are read next while no batch is being processed. An offset is
        lower than before when the topic's offsets began anew."""
        processed = self.positions.processed
        for partition, offset in offsets.items():
            if partition in processed:
                if offset < processed[partition]:
                    self.caught_up.forget(partition)
                processed[partition] = offset

    async def measure(self, consumer: AIOKafkaConsumer) -> None:
        """Compare with the ends of the log, and report. Raises `StuckConsumer`, and `KafkaError` or `TimeoutError` when
        the broker does not answer."""
        generation, began = self.positions.generation, time.monotonic()
        database_time: datetime | None = None
        with FailuresLogged(_log.debug, "the database does not tell its time"):
            async with reading(self._pool) as connection:
                database_time = await consumer_positions.database_time(connection)
        if database_time is None:
            self.watchdog.restart_all()
        asked_at = time.monotonic()
        ends = await asyncio.wait_for(self._ends(consumer), ANSWER_SECONDS)
        if time.monotonic() - asked_at > LONG_ANSWER_SECONDS:
            self.caught_up.await_backlog()
        if generation != self.positions.generation:
            return
        # From here to the watchdog nothing is awaited: partitions may be revoked at any moment.
        processed = {each: self.positions.processed[each] for each in ends}
        lags = {each: max(end - processed[each], 0) for each, end in ends.items()}
        for partition, lag in lags.items():
            _lag.labels(partition.topic, partition.partition).set(lag)
        self._measured |= lags.keys()
        reports: list[PositionReport] = []
        if database_time is not None:
            for each, end in ends.items():
                at = self.caught_up.measure(each, processed[each], end, asked_at=database_time, began=began)
                count = len(consumer.partitions_for_topic(each.topic) or ()) or None
                reports.append(PositionReport(each.topic, each.partition, processed[each], lags[each], count, at))
        await self.watchdog.check(consumer, processed, lags, is_assigned=self.positions.is_assigned)
        if database_time is not None and reports and generation == self.positions.generation:
            with FailuresLogged(_log.debug, "the positions were not reported"):
                async with reading(self._pool) as connection:
                    await consumer_positions.store(connection, reports, database_time)

    async def _ends(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        partitions = sorted(consumer.assignment()) if self.positions.is_assigned else []
        if not partitions:
            await consumer.topics()  # is there a broker that answers?
            return {}
        ends = await end_of_log(consumer, partitions)
        await self.positions.find_starts(consumer, partitions)
        return ends
