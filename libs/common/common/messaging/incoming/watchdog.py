"""Detects a consumer that has records to read and makes no progress, in all of its partitions or in one."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from common.telemetry.rate_limited_log import RateLimitedLog

ANSWER_SECONDS = 3.0
# From then on, or from a quarter of the time limit, the broker is asked why a partition with a lag does not move.
HELD_BACK_SECONDS = 5.0
# One partition may stand still for longer than all together: the others take their turns.
ALONE_FACTOR = 5

_log = structlog.get_logger(__name__)


class StuckConsumer(Exception):
    """The consumer cannot go on; a new process may."""


class Watchdog:
    def __init__(self, stuck_after_seconds: float) -> None:
        self._stuck_after = stuck_after_seconds
        self._ask_after = min(HELD_BACK_SECONDS, stuck_after_seconds / 4)
        self._log = RateLimitedLog(_log)
        self._progress_at = time.monotonic()
        self._moved: dict[TopicPartition, tuple[int, float]] = {}  # the offset, and since when it is this one

    def forget_partitions(self) -> None:
        self._moved.clear()

    def restart(self) -> None:
        """There was progress: measure the time without any from now on."""
        self._progress_at = time.monotonic()

    def restart_all(self) -> None:
        """No partition can make progress, for a reason that is known: measure its time from now on."""
        self.restart()
        self.forget_partitions()

    async def check(
        self,
        consumer: AIOKafkaConsumer,
        processed: Mapping[TopicPartition, int],
        lags: Mapping[TopicPartition, int],
        *,
        is_assigned: bool,
    ) -> None:
        """Raises `StuckConsumer`, and `KafkaError` or `TimeoutError` when the broker does not answer."""
        now = time.monotonic()
        behind = [each for each, lag in lags.items() if lag]
        self._note_moves(processed, behind, now)
        if is_assigned and not behind:
            self.restart()
            return
        is_stuck = now - self._progress_at > self._stuck_after
        suspects = behind if is_stuck else [each for each in behind if self._unmoved_for(each, now) > self._ask_after]
        if suspects:
            readable = await asyncio.wait_for(consumer.end_offsets(suspects), ANSWER_SECONDS)
            held_back = [each for each in suspects if readable[each] <= processed[each]]
            self._log_open_transactions(held_back)
            if len(held_back) == len(behind):
                self.restart()
                return
            suspects = [each for each in suspects if each not in held_back]
        if is_stuck or any(self._unmoved_for(each, now) > ALONE_FACTOR * self._stuck_after for each in suspects):
            names = ", ".join(f"{each.topic}-{each.partition} at {processed[each]}" for each in suspects)
            raise StuckConsumer(f"no progress for too long; to be read: {names or 'nothing is assigned'}")

    def _note_moves(
        self, processed: Mapping[TopicPartition, int], behind: Collection[TopicPartition], now: float
    ) -> None:
        for partition, offset in processed.items():
            if partition not in behind or self._moved.get(partition, (None, now))[0] != offset:
                self._moved[partition] = offset, now

    def _unmoved_for(self, partition: TopicPartition, now: float) -> float:
        return now - self._moved.get(partition, (0, now))[1]

    def _log_open_transactions(self, partitions: Iterable[TopicPartition]) -> None:
        """Only the producer that opened a transaction can end it, or Kafka at its timeout; a new process would read no
        more."""
        for each in partitions:
            self._log.error(
                "a transaction of another producer is open and holds back the records behind it",
                about=each, alert="open_transaction", topic=each.topic, partition=each.partition,
            )  # fmt: skip
