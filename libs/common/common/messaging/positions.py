"""How far a consumer has come: its lag for metrics and for readers of the database, and whether it is stuck."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Gauge
from sqlalchemy import BigInteger, DateTime, Integer, Text, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from common.database.statements import prepare
from common.database.tables import consumer_positions
from common.database.transactions import Pool, is_connection_failure, reading

SECONDS_BETWEEN_LOOKS = 0.5
ANSWER_SECONDS = 3.0

_log = structlog.get_logger(__name__)
_lag = Gauge("consumer_lag", "Records of a partition that are not taken in yet", ["topic", "partition"])

_NOW = prepare(select(func.clock_timestamp()))
_arrays: dict[str, Any] = {
    "topic": Text,
    "partition": Integer,
    "position": BigInteger,
    "lag": BigInteger,
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
    """

    def __init__(self, pool: Pool, *, stuck_after_seconds: float) -> None:
        self._pool = pool
        self._stuck_after = stuck_after_seconds
        self._taken_in: dict[TopicPartition, int] = {}
        self._ends_to_pass: dict[TopicPartition, tuple[int, datetime]] = {}
        self._finding = asyncio.Lock()
        self._well_at = time.monotonic()
        self._shown: set[TopicPartition] = set()
        self.generation = 0
        self.is_assigned = False

    async def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        self.generation += 1
        self.is_assigned = False
        self._taken_in.clear()
        self._ends_to_pass.clear()
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

    def excuse(self) -> None:
        """Start the watchdog's time anew: there is progress, or it is known why there can be none."""
        self._well_at = time.monotonic()

    async def look(self, consumer: AIOKafkaConsumer) -> None:
        """Compare with the broker and report. Raises `StuckConsumer`, and `KafkaError` or `TimeoutError` when the
        broker does not answer."""
        generation = self.generation
        looked_at = await self._database_time()
        ends = await asyncio.wait_for(self._ends(consumer), ANSWER_SECONDS)
        if generation != self.generation:
            return
        lags = {each: max(end - self._taken_in[each], 0) for each, end in ends.items()}
        if self.is_assigned and not any(lags.values()):
            self.excuse()
        elif time.monotonic() - self._well_at > self._stuck_after:
            raise StuckConsumer(f"no progress for {self._stuck_after:g} s; lag: {sum(lags.values())}")
        for partition, lag in lags.items():
            _lag.labels(partition.topic, partition.partition).set(lag)
        self._shown |= lags.keys()
        if lags and looked_at is not None:
            caught_up_at = [self._caught_up_at(each, end, looked_at) for each, end in ends.items()]
            await self._report(lags, caught_up_at, looked_at)

    def _caught_up_at(self, partition: TopicPartition, end: int, looked_at: datetime) -> datetime | None:
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
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
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
        committed = {each: await consumer.committed(each) for each in partitions}
        if generation != self.generation:
            raise KafkaError("the partitions changed hands")
        for each, offset in committed.items():
            if offset is not None and offset < oldest[each]:
                _log.critical(
                    "events were deleted before they were read; have their service send them again (outbox send-again)",
                    alert="events_lost", topic=each.topic, partition=each.partition, lost=oldest[each] - offset,
                )  # fmt: skip
            self._taken_in.setdefault(each, max(offset or 0, oldest[each]))

    async def _database_time(self) -> datetime | None:
        try:
            async with reading(self._pool) as connection:
                now: datetime = await _NOW.fetch_value(connection)
                return now
        except Exception as error:
            if not is_connection_failure(error):
                raise
            self.excuse()
            return None

    async def _report(
        self, lags: Mapping[TopicPartition, int], caught_up_at: Sequence[datetime | None], looked_at: datetime
    ) -> None:
        try:
            async with reading(self._pool) as connection:
                await _REPORT.execute(
                    connection,
                    topics=[each.topic for each in lags],
                    partitions=[each.partition for each in lags],
                    positions=[self._taken_in[each] for each in lags],
                    lags=list(lags.values()),
                    caught_up_ats=caught_up_at,
                    looked_at=looked_at,
                )
        except Exception as error:
            if not is_connection_failure(error):
                raise
