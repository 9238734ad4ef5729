"""Up to which moment a consumer has processed everything that was in a partition (ADR 0009)."""

import math
import time
from datetime import datetime

from aiokafka import TopicPartition


class CaughtUpTimes:
    """Computes `caught_up_at` of `consumer_positions`, a moment of the database's clock: all records that were in the
    partition then are processed.

    It moves on under a steady stream too, where the lag is never 0: an end that one measurement saw is passed by a
    later one. It does not move on for `settle_seconds` after Kafka did not answer (`unsettle`): events that were
    written meanwhile may still be in the producers' outboxes. Events from such a backlog prolong the time
    (`stay_unsettled`).
    """

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._settled_at = -math.inf
        self._ends_to_pass: dict[TopicPartition, tuple[int, datetime]] = {}

    def forget_partitions(self) -> None:
        self._ends_to_pass.clear()

    def forget(self, partition: TopicPartition) -> None:
        self._ends_to_pass.pop(partition, None)

    def unsettle(self) -> None:
        """Events may be on their way that are not in Kafka yet: count nothing as caught up for a while."""
        self._settled_at = time.monotonic() + self._settle_seconds
        self._ends_to_pass.clear()

    def stay_unsettled(self) -> None:
        if time.monotonic() < self._settled_at:
            self.unsettle()

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
