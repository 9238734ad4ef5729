"""Takes events from Kafka into the database, at least once by the offsets and once by the inbox (ADR 0014).

FastStream's own acknowledgements lose records: here the raw records reach the handler whatever is in them, nothing is
raised to FastStream, and offsets are committed after the database, by us.
"""

import asyncio
import time
from collections.abc import Collection
from typing import Any, TypeAlias

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER
from faststream.kafka.subscriber.usecase import BatchSubscriber
from prometheus_client import Counter, Histogram

from common import failpoints
from common.component import Component
from common.database.transactions import Pool, is_connection_failure
from common.messaging import metadata_task
from common.messaging.inbox import Inbox
from common.messaging.positions import SECONDS_BETWEEN_LOOKS, Positions, StuckConsumer
from common.messaging.records import EventHandler, Handlers, Incoming
from common.pauses import pause, unless_stopping

__all__ = ["EventHandler", "Incoming", "Subscriber"]

RECORDS_PER_BATCH = 500
# FastStream waits so long for records, and then sleeps as long before it waits again: what is short here costs an idle
# process its time (10 ms: half of all it used), what is long delays the first event after a pause by half of it.
IDLE_MS = 30
START_SECONDS = 60
COMMIT_SECONDS = 10
GRACE_SECONDS = 4
STOP_SECONDS = 5
SHORTEST_BACKOFF, LONGEST_BACKOFF = 0.1, 3.0
# How long the broker may stay silent before this consumer counts as disconnected.
SILENCE_SECONDS = 3.0
DAY_MILLISECONDS = 86_400_000

_log = structlog.get_logger(__name__)
_batch_seconds = Histogram("consumer_batch_seconds", "From a batch's arrival to its offsets' commit", ["consumer"])
_commit_failures = Counter("consumer_commit_failures_total", "Offset commits that failed; the records come again")

Records: TypeAlias = tuple[ConsumerRecord, ...]


class Subscriber:
    """One member of a service's consumer group.

    `handlers` are by the short name of the event's type; other types are passed over. A member that was not heard of
    for `session_seconds` loses its partitions to the others. `stuck_after_seconds` without progress, though there is
    something to read, end the process, so that it is started again.
    """

    def __init__(
        self,
        pool: Pool,
        bootstrap: str,
        *,
        group: str,
        topics: Collection[str],
        handlers: Handlers,
        session_seconds: float = 10,
        stuck_after_seconds: float = 60,
    ) -> None:
        self._bootstrap = bootstrap.split(",")
        self._group = group
        self._topics = topics
        self._session_ms = round(session_seconds * 1000)
        self._inbox = Inbox(pool, group, handlers)
        self._positions = Positions(pool, stuck_after_seconds=stuck_after_seconds)
        self._ending = asyncio.Event()
        self._failure: Exception | None = None
        self._subscription: BatchSubscriber  # since the last attempt to start
        self._answered_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether the consumer is a member of its group and the broker answered it within the last seconds."""
        return self._positions.is_assigned and time.monotonic() - self._answered_at < SILENCE_SECONDS

    @property
    def component(self) -> Component:
        return Component("consumer", self.run, lambda: None if self.connected else "kafka: not connected")

    async def run(self, stopping: asyncio.Event) -> None:
        """Take in events until `stopping` is set, then finish the batch in hand.

        Waits for a broker or database that is away. Raises `StuckConsumer` when only a new process can help.
        """
        backoff = SHORTEST_BACKOFF
        while not stopping.is_set():
            self._ending.clear()
            broker = self._broker()
            try:
                if await unless_stopping(stopping, asyncio.wait_for(broker.start(), START_SECONDS)):
                    await unless_stopping(stopping, self._watch())
            except (KafkaError, OSError, TimeoutError) as error:
                _log.warning("Kafka does not answer; trying again", error=repr(error), wait_seconds=backoff)
            finally:
                await self._stop(broker, stopping)
            await pause(stopping, backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    @property
    def _consumer(self) -> Any:
        return self._subscription.consumer

    def _broker(self) -> KafkaBroker:
        broker = KafkaBroker(
            self._bootstrap,
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            graceful_timeout=GRACE_SECONDS,
            metadata_max_age_ms=30_000,
            logger=None,
        )
        self._subscription = broker.subscriber(
            *self._topics,
            group_id=self._group,
            batch=True,
            max_records=RECORDS_PER_BATCH,
            batch_timeout_ms=IDLE_MS,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            session_timeout_ms=self._session_ms,
            heartbeat_interval_ms=self._session_ms * 3 // 10,
            # While the database is away a batch waits in its handler, and that is no reason to leave the group.
            max_poll_interval_ms=DAY_MILLISECONDS,
            listener=self._positions,
            parser=_parse,
            decoder=_decode,
        )
        self._subscription(self._on_batch)
        return broker

    async def _watch(self) -> None:
        subscription, consumer = self._subscription, self._consumer
        tasks = consumer._coordinator._coordination_task, consumer._fetcher._fetch_task
        while True:
            if self._failure is not None:
                raise self._failure
            lost = any(task.done() for task in tasks) or metadata_task.is_lost(consumer._client)
            if lost or all(task.done() for task in subscription.tasks):
                raise StuckConsumer("the consumer's own tasks have ended")
            try:
                await self._positions.look(consumer)
                self._answered_at = time.monotonic()
            except (KafkaError, TimeoutError) as error:
                self._positions.excuse()
                _log.warning("the broker does not answer", error=repr(error))
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def _stop(self, broker: KafkaBroker, stopping: asyncio.Event) -> None:
        """Finish the batch in hand and leave the group. Raises `StuckConsumer` when the consumer cannot be stopped and
        the process was to go on: it would come back as a member that reads nothing."""
        self._ending.set()
        await self._positions.on_partitions_revoked(())
        if self._consumer is not None:
            metadata_task.forget(self._consumer._client)
        try:
            await asyncio.wait_for(broker.stop(), STOP_SECONDS)
        except (KafkaError, TimeoutError) as error:
            if not stopping.is_set():
                raise StuckConsumer(f"the consumer does not stop: {error!r}") from error
            _log.warning("the group was not left in order; the session will end", error=repr(error))

    async def _on_batch(self, records: Records) -> None:
        """Never raises: FastStream would pass over the batch."""
        generation = self._positions.generation
        try:
            with _batch_seconds.labels(self._group).time():
                if await self._take_in(records):
                    failpoints.hit("consumer.after_tx_before_offset")
                    await self._commit(records, generation)
        except Exception as error:
            self._failure = error
            _log.exception("a batch can be neither taken in nor kept; the consumer ends")
            await self._ending.wait()

    async def _take_in(self, records: Records) -> bool:
        """Returns False when the consumer is being stopped while the database is away: the records come again."""
        backoff = SHORTEST_BACKOFF
        while not self._ending.is_set():
            try:
                await self._inbox.accept(records)
                return True
            except Exception as error:
                if not is_connection_failure(error):
                    raise
                _log.warning("the database is away; the batch waits", error=repr(error), wait_seconds=backoff)
            self._positions.excuse()
            await pause(self._ending, backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)
        return False

    async def _commit(self, records: Records, generation: int) -> None:
        """Commit the offsets after this very batch. When that fails, its records come again and are absorbed."""
        ends: dict[TopicPartition, int] = {}
        for record in records:
            ends[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if generation != self._positions.generation:
            return
        try:
            await asyncio.wait_for(self._positions.find_starts(self._consumer, ends), COMMIT_SECONDS)
            self._positions.take_in(ends, generation)
            await asyncio.wait_for(self._consumer.commit(ends), COMMIT_SECONDS)
        except (KafkaError, TimeoutError) as error:
            _commit_failures.inc()
            _log.warning("offsets not committed", error=repr(error))


async def _parse(records: Records, _original: object) -> KafkaMessage:
    """Hand the records on untouched: FastStream's own parser fails at headers that are not text."""
    return KafkaMessage(raw_message=records, body=records, consumer=FAKE_CONSUMER)


async def _decode(message: KafkaMessage, _original: object) -> Any:
    return message.raw_message
