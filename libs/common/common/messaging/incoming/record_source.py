"""A member of a consumer group that yields batches of Kafka records, through FastStream's client (ADR 14)."""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import TypeAlias

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition, codec
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from common.internals import aiokafka, faststream
from common.messaging.incoming import batches
from common.messaging.incoming.batches import UndecodableBatch
from common.messaging.incoming.watchdog import StuckConsumer
from common.telemetry.rate_limited_log import RateLimitedLog

RECORDS_PER_BATCH = 500
# An idle process wakes so rarely: a record ends the wait at once.
WAIT_MS = 500
START_SECONDS = 60
COMMIT_SECONDS = 10
STOP_SECONDS = 3
# How long an error of the client is the reason why the role is not ready.
ERROR_SECONDS = 10.0
DAY_MILLISECONDS = 86_400_000

_log = structlog.get_logger(__name__)

Records: TypeAlias = tuple[ConsumerRecord | UndecodableBatch, ...]


class RecordSource:
    """One membership in a consumer group, from `start` to `stop`.

    Records are raw bytes; a batch that cannot be decoded is one record. Only `commit` commits offsets. A member that
    sends no heartbeat for `session_seconds` loses its partitions to the others; `listener` is called at each change.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        group: str,
        topics: Collection[str],
        session_seconds: float,
        listener: ConsumerRebalanceListener,
    ) -> None:
        session_ms = round(session_seconds * 1000)
        self._broker = KafkaBroker(
            bootstrap.split(","),
            consumer_only=True,
            allow_auto_create_topics=False,
            metadata_max_age_ms=30_000,
            logger=None,
        )
        self._subscription = self._broker.subscriber(
            *topics,
            group_id=group,
            batch=True,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms * 3 // 10,
            # While the database is unavailable, a batch waits, and that is no reason to leave the group.
            max_poll_interval_ms=DAY_MILLISECONDS,
            listener=listener,
        )

    @property
    def consumer(self) -> AIOKafkaConsumer:
        return faststream.consumer_of(self._subscription)

    async def start(self) -> None:
        """Join the group. Raises `KafkaError`, `OSError` or `TimeoutError`, and `StuckConsumer` when a codec is
        missing."""
        if missing := _missing_codecs():
            raise StuckConsumer(f"codecs of Kafka are not installed: {', '.join(missing)}")
        batches.install()
        await asyncio.wait_for(self._broker.start(), START_SECONDS)

    async def next_batch(self) -> Records:
        """Up to 500 records, in log order per partition; none when there are none for a moment. Raises `KafkaError`,
        and `StuckConsumer` as `check` does: aiokafka would raise what ended its task, be it a `CancelledError`."""
        self.check()
        return await faststream.next_batch(self._subscription, most=RECORDS_PER_BATCH, wait_ms=WAIT_MS)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Raises `KafkaError` or `TimeoutError`."""
        await asyncio.wait_for(self.consumer.commit(offsets), COMMIT_SECONDS)

    def positions(self) -> dict[TopicPartition, int]:
        """The offset that is read next in each assigned partition. It passes over offsets that are no records: markers
        of transactions, and what was compacted or deleted."""
        return aiokafka.fetch_positions(self.consumer)

    def check(self) -> None:
        """Raises `StuckConsumer` when the client has lost a background task: it would read or commit nothing."""
        if aiokafka.has_lost_task(self.consumer):
            raise StuckConsumer("the consumer's own tasks have ended")

    async def stop(self) -> None:
        """Leave the group. Raises `KafkaError` or `TimeoutError`: then the others wait for the session's end."""
        if self.consumer is not None:
            aiokafka.forget_lost_metadata_task(aiokafka.client_of(self.consumer))
        await asyncio.wait_for(faststream.stop(self._broker), STOP_SECONDS)


class ClientErrors:
    """The last error of the Kafka client, over all memberships."""

    def __init__(self) -> None:
        self._log = RateLimitedLog(_log)
        self._last: tuple[str, float] | None = None

    def report(self, error: Exception) -> None:
        kind = type(error).__name__
        self._last = f"{kind}: {error}", time.monotonic()
        self._log.error("the Kafka client failed", about=kind, error=repr(error))

    @property
    def recent(self) -> str | None:
        if self._last is None or time.monotonic() - self._last[1] > ERROR_SECONDS:
            return None
        return self._last[0]


def _missing_codecs() -> list[str]:
    """The compressions of topics and producers that this process cannot read."""
    is_installed = {
        "gzip": codec.has_gzip(), "snappy": codec.has_snappy(), "lz4": codec.has_lz4(), "zstd": codec.has_zstd(),
    }  # fmt: skip
    return [name for name, is_there in is_installed.items() if not is_there]
