"""How far a consumer has come: its lag for metrics and for readers of the database, and whether it is stuck."""

import asyncio
import math
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.errors import KafkaError
from prometheus_client import Gauge
from sqlalchemy import BigInteger, DateTime, Integer, Text, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from common.database.statements import prepare
from common.database.tables import consumer_positions
from common.database.transactions import Pool, is_connection_failure, reading
from common.telemetry.rate_limited_log import RateLimitedLog

SECONDS_BETWEEN_LOOKS = 0.5
ANSWER_SECONDS = 3.0
# A broker that took longer to answer hung: producers may have had to wait for it as well.
LONG_ANSWER_SECONDS = 1.0
# From then on it is asked why a partition with a lag does not move.
HELD_BACK_SECONDS = 5.0
# One partition may wait longer than all: the others take their turns.
ALONE_FACTOR = 5

_log = structlog.get_logger(__name__)
_lag = Gauge("consumer_lag", "Records of a partition that are not taken in yet", ["topic", "partition"])

_NOW = prepare(select(func.clock_timestamp()))
_arrays: dict[str, Any] = {
    "topic": Text,
    "partition": Integer,
    "position": BigInteger,
    "lag": BigInteger,
    "partition_count": Integer,
    "caught_up_at": DateTime(timezone=True),
}
_seen = (
    func.unnest(*(bindparam(f"{name}s", type_=ARRAY(type_)) for name, type_ in _arrays.items()))
    .table_valued(*(column(name, type_) for name, type_ in _arrays.items()))
    .render_derived("seen")
)
_looked_at = bindparam("looked_at", type_=DateTime(timezone=True))
_report = insert(consumer_positions).from_select(
    [*_arrays, "reported_at"],
    select(*(_seen.c[name] for name in _arrays), _looked_at),
)
_table, _new = consumer_positions.c, _report.excluded
_REPORT = prepare(
    _report.on_conflict_do_update(
        index_elements=[_table.topic, _table.partition],
        set_={
            "position": _new.position,
            "lag": _new.lag,
            "partition_count": _new.partition_count,
            "caught_up_at": func.greatest(_table.caught_up_at, _new.caught_up_at),
            "reported_at": _new.reported_at,
        },
        # A member that was paused must not overwrite what its successor says.
        where=_table.reported_at <= _new.reported_at,
    )
)


class StuckConsumer(Exception):
    """The consumer has work, or should have, and gets nowhere; a new process may."""


class Positions(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """What of the assigned partitions is taken in, that is: committed in the database.

    A partition's `caught_up_at` in `consumer_positions` is a moment of the database's clock: everything that was in
    the partition then has been taken in. It moves on under a steady stream too, where the lag is never 0: an end that
    was seen at one look is passed by a later one.

    It does not move on for `settle_seconds` after Kafka did not answer (`unsettle`): what was written meanwhile may
    still be in the producers' outboxes. Events that come out of such a backlog prolong the time (`stay_unsettled`).
    """

    def __init__(self, pool: Pool, *, stuck_after_seconds: float, settle_seconds: float) -> None:
        self._pool = pool
        self._stuck_after = stuck_after_seconds
        self._settle_seconds = settle_seconds
        self._log = RateLimitedLog(_log)
        self._taken_in: dict[TopicPartition, int] = {}
        self._ends_to_pass: dict[TopicPartition, tuple[int, datetime]] = {}
        self._finding = asyncio.Lock()
        self._well_at = time.monotonic()
        self._moved: dict[TopicPartition, tuple[int, float]] = {}
        self._settled_at = -math.inf
        self._shown: set[TopicPartition] = set()
        self.generation = 0
        self.is_assigned = False

    async def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        self.generation += 1
        self.is_assigned = False
        self._taken_in.clear()
        self._ends_to_pass.clear()
        self._moved.clear()
        for partition in self._shown:
            _lag.remove(partition.topic, partition.partition)
        self._shown.clear()

    async def on_partitions_assigned(self, _assigned: Collection[TopicPartition]) -> None:
        self.is_assigned = True
        self.excuse()

    def take_in(self, ends: Mapping[TopicPartition, int], generation: int) -> None:
        """Say that all before these offsets is taken in, unless the partitions changed hands since `generation`."""
        self.excuse()
        if generation == self.generation:
            self._taken_in.update(ends)

    def settle(self, ends: Mapping[TopicPartition, int]) -> None:
        """As `take_in`, where nothing is in hand: the consumer's own positions, which pass over offsets that are no
        records (markers of transactions, what was compacted or deleted). One is lower than before when the topic's
        offsets began anew."""
        for partition, end in ends.items():
            before = self._taken_in.get(partition)
            if before is None:
                continue  # not looked at yet
            if end < before:
                self._ends_to_pass.pop(partition, None)
            self._taken_in[partition] = end

    def unsettle(self) -> None:
        """Something may be on its way that is not in Kafka yet: count nothing as caught up for a while."""
        self._settled_at = time.monotonic() + self._settle_seconds
        self._ends_to_pass.clear()

    def stay_unsettled(self) -> None:
        if time.monotonic() < self._settled_at:
            self.unsettle()

    def excuse(self) -> None:
        """Start the watchdog's time anew: there is progress."""
        self._well_at = time.monotonic()

    def excuse_all(self) -> None:
        """As `excuse`, for every partition: it is known why there can be no progress."""
        self.excuse()
        self._moved.clear()

    async def look(self, consumer: AIOKafkaConsumer) -> None:
        """Compare with the broker and report. Raises `StuckConsumer`, and `KafkaError` or `TimeoutError` when the
        broker does not answer."""
        generation, began = self.generation, time.monotonic()
        looked_at = await self._database_time()
        asked_at = time.monotonic()
        ends = await asyncio.wait_for(self._ends(consumer), ANSWER_SECONDS)
        if time.monotonic() - asked_at > LONG_ANSWER_SECONDS:
            self.unsettle()
        if generation != self.generation:
            return
        # From here to the report nothing is awaited: the partitions may change hands at any moment.
        taken_in = {each: self._taken_in[each] for each in ends}
        lags = {each: max(end - taken_in[each], 0) for each, end in ends.items()}
        for partition, lag in lags.items():
            _lag.labels(partition.topic, partition.partition).set(lag)
        self._shown |= lags.keys()
        caught_up_at = None
        if looked_at is not None:
            caught_up_at = [self._caught_up_at(each, end, looked_at, began) for each, end in ends.items()]
        await self._watch(consumer, taken_in, lags)
        if lags and looked_at is not None and caught_up_at is not None and generation == self.generation:
            counts = [len(consumer.partitions_for_topic(each.topic) or ()) or None for each in ends]
            await self._report(taken_in, lags, counts, caught_up_at, looked_at)

    async def _watch(
        self, consumer: AIOKafkaConsumer, taken_in: Mapping[TopicPartition, int], lags: Mapping[TopicPartition, int]
    ) -> None:
        """Raises `StuckConsumer` when there is something to read and no progress, in all partitions or in one."""
        now = time.monotonic()
        behind = [each for each, lag in lags.items() if lag]
        for partition, offset in taken_in.items():
            if partition not in behind or self._moved.get(partition, (None, now))[0] != offset:
                self._moved[partition] = offset, now
        if self.is_assigned and not behind:
            self.excuse()
            return
        is_stuck = now - self._well_at > self._stuck_after
        suspects = behind if is_stuck else [each for each in behind if self._unmoved_for(each, now) > HELD_BACK_SECONDS]
        if suspects:
            readable = await asyncio.wait_for(consumer.end_offsets(suspects), ANSWER_SECONDS)
            held_back = [each for each in suspects if readable[each] <= taken_in[each]]
            self._tell_of_transactions(held_back)
            if len(held_back) == len(behind):
                self.excuse()
                return
            suspects = [each for each in suspects if each not in held_back]
        if is_stuck or any(self._unmoved_for(each, now) > ALONE_FACTOR * self._stuck_after for each in suspects):
            names = ", ".join(f"{each.topic}-{each.partition} at {taken_in[each]}" for each in suspects)
            raise StuckConsumer(f"no progress for too long; to be read: {names or 'nothing is assigned'}")

    def _unmoved_for(self, partition: TopicPartition, now: float) -> float:
        return now - self._moved.get(partition, (0, now))[1]

    def _tell_of_transactions(self, partitions: Iterable[TopicPartition]) -> None:
        """Only whoever opened a transaction can end it, or Kafka at its timeout; a new process would read no more."""
        for each in partitions:
            self._log.error(
                "a transaction of another producer is open and holds back the records behind it",
                about=each, alert="open_transaction", topic=each.topic, partition=each.partition,
            )  # fmt: skip

    def _caught_up_at(self, partition: TopicPartition, end: int, looked_at: datetime, began: float) -> datetime | None:
        if began < self._settled_at:
            return None
        taken_in = self._taken_in[partition]
        if taken_in >= end:
            self._ends_to_pass.pop(partition, None)
            return looked_at
        end_then, looked_then = self._ends_to_pass.setdefault(partition, (end, looked_at))
        if taken_in < end_then:
            return None
        self._ends_to_pass[partition] = end, looked_at
        return looked_then

    async def _ends(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        partitions = sorted(consumer.assignment()) if self.is_assigned else []
        if not partitions:
            await consumer.topics()  # is there a broker that answers?
            return {}
        ends = await _end_of_log(consumer, partitions)
        await self.find_starts(consumer, partitions)
        return ends

    async def find_starts(self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
        """Learn where reading begins in partitions not looked at yet: at the committed offset, or at the oldest.

        Has to be done before their first commit; afterwards nobody could tell what was never there to be read. Raises
        `KafkaError`.
        """
        async with self._finding:
            await self._find_starts(consumer, [each for each in partitions if each not in self._taken_in])

    async def _find_starts(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        if not partitions:
            return
        generation = self.generation
        oldest = await consumer.beginning_offsets(partitions)
        ends = await _end_of_log(consumer, partitions)
        committed = {each: await consumer.committed(each) for each in partitions}
        if generation != self.generation:
            raise KafkaError("the partitions changed hands")
        for each, offset in committed.items():
            if offset is not None and offset < oldest[each]:
                _log.critical(
                    "events were deleted before they were read; have their service send them again (outbox send-again)",
                    alert="events_lost", topic=each.topic, partition=each.partition, lost=oldest[each] - offset,
                )  # fmt: skip
            elif offset is not None and offset > ends[each]:
                _log.error(
                    "the topic's offsets began anew; it is read from its beginning",
                    topic=each.topic, partition=each.partition, committed=offset, end=ends[each],
                )  # fmt: skip
                offset = None
            self._taken_in.setdefault(each, max(offset or 0, oldest[each]))

    async def _database_time(self) -> datetime | None:
        try:
            async with reading(self._pool) as connection:
                now: datetime = await _NOW.fetch_value(connection)
                return now
        except Exception as error:
            if not is_connection_failure(error):
                raise
            self.excuse_all()
            return None

    async def _report(
        self,
        taken_in: Mapping[TopicPartition, int],
        lags: Mapping[TopicPartition, int],
        counts: Sequence[int | None],
        caught_up_at: Sequence[datetime | None],
        looked_at: datetime,
    ) -> None:
        try:
            async with reading(self._pool) as connection:
                await _REPORT.execute(
                    connection,
                    topics=[each.topic for each in lags],
                    partitions=[each.partition for each in lags],
                    positions=list(taken_in.values()),
                    lags=list(lags.values()),
                    partition_counts=counts,
                    caught_up_ats=caught_up_at,
                    looked_at=looked_at,
                )
        except Exception as error:
            if not is_connection_failure(error):
                raise


async def _end_of_log(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Where the partitions end for everybody. What `end_offsets` gives to this reader ends before the first transaction
    that is open; records behind it are there, and not taken in."""
    fetcher = copy(consumer._fetcher)
    fetcher._isolation_level = READ_UNCOMMITTED
    ends: dict[TopicPartition, int] = await fetcher.end_offsets(partitions, consumer._request_timeout_ms)
    return ends
