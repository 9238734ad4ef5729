"""Takes events from Kafka into the database, at least once by the offsets and once by the inbox (ADR 0014).

FastStream's own acknowledgements lose records: here the raw records reach the handler whatever is in them, nothing is
raised to FastStream, and offsets are committed after the database, by us.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
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
from common.messaging.incoming import batches
from common.messaging.incoming.batches import UndecodableBatch, ends_of
from common.messaging.incoming.client_errors import ClientErrors, missing_codecs
from common.messaging.incoming.inbox import HeldUp, Inbox
from common.messaging.incoming.positions import SECONDS_BETWEEN_LOOKS, Positions, StuckConsumer
from common.messaging.incoming.records import EventHandler, Handlers, Incoming, came_late
from common.messaging.incoming.waiting_records import WaitingRecords
from common.messaging.kafka import metadata_task
from common.pauses import pause, unless_stopping
from common.telemetry.rate_limited_log import RateLimitedLog

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
# A relay whose Kafka is away tries again after 2 seconds at the latest, and after 3 where only a topic is missing.
SETTLE_SECONDS = 6.0
SECONDS_BETWEEN_TRIES = 0.5
DAY_MILLISECONDS = 86_400_000

_log = structlog.get_logger(__name__)
_batch_seconds = Histogram("consumer_batch_seconds", "From a batch's arrival to its offsets' commit", ["consumer"])
_commit_failures = Counter("consumer_commit_failures_total", "Offset commits that failed; the records come again")

Records: TypeAlias = tuple[ConsumerRecord | UndecodableBatch, ...]


class Subscriber:
    """One member of a service's consumer group.

    `handlers` are by the short name of the event's type; other types are passed over. A member that was not heard of
    for `session_seconds` loses its partitions to the others. `stuck_after_seconds` without progress, though there is
    something to read, end the process, so that it is started again. For `settle_seconds` after Kafka was away nothing
    counts as caught up (ADR 0009).
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
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._bootstrap = bootstrap.split(",")
        self._group = group
        self._topics = topics
        self._session_ms = round(session_seconds * 1000)
        self._positions = Positions(pool, stuck_after_seconds=stuck_after_seconds, settle_seconds=settle_seconds)
        self._inbox = Inbox(pool, group, handlers, on_held_up=self._positions.excuse_all)
        self._waiting = WaitingRecords(self._inbox)
        self._waiting_since = 0  # the generation whose records wait
        self._log = RateLimitedLog(_log)
        self._ending = asyncio.Event()
        self._failure: Exception | None = None
        self._subscription: BatchSubscriber  # since the last attempt to start
        self._answered_at = 0.0
        self._client_errors = ClientErrors()
        self._in_hand: Records = ()
        self._postponed: dict[TopicPartition, int] = {}

    @property
    def connected(self) -> bool:
        """Whether the consumer is a member of its group and the broker answered it within the last seconds."""
        return self._positions.is_assigned and time.monotonic() - self._answered_at < SILENCE_SECONDS

    @property
    def component(self) -> Component:
        return Component("consumer", self.run, self._not_ready)

    def _not_ready(self) -> str | None:
        if error := self._client_errors.recent:
            return f"kafka: {error}"
        return None if self.connected else "kafka: not connected"

    async def run(self, stopping: asyncio.Event) -> None:
        """Take in events until `stopping` is set, then finish the batch in hand.

        Waits for a broker or database that is away. Raises `StuckConsumer` when only a new process can help.
        """
        if missing := missing_codecs():
            raise StuckConsumer(f"codecs of Kafka are not installed: {', '.join(missing)}")
        batches.install()
        backoff = SHORTEST_BACKOFF
        while not stopping.is_set():
            self._ending.clear()
            broker = self._broker()
            try:
                if await unless_stopping(stopping, asyncio.wait_for(broker.start(), START_SECONDS)):
                    await unless_stopping(stopping, self._watch())
            except (KafkaError, OSError, TimeoutError) as error:
                self._positions.unsettle()
                self._log.warning("Kafka does not answer; trying again", error=repr(error), wait_seconds=backoff)
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
            logger=self._client_errors,
        )
        self._subscription = broker.subscriber(
            *self._topics,
            group_id=self._group,
            batch=True,
            max_records=RECORDS_PER_BATCH,
            batch_timeout_ms=IDLE_MS,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=self._session_ms,
            heartbeat_interval_ms=self._session_ms * 3 // 10,
            # While the database is away a batch waits in its handler, and that is no reason to leave the group.
            max_poll_interval_ms=DAY_MILLISECONDS,
            listener=self._positions,
            parser=_parse,
            decoder=_decode,
        )
        self._subscription(self._on_batch)
        self._in_hand = ()
        return broker

    async def _watch(self) -> None:
        retrying = asyncio.create_task(self._retry_waiting())
        try:
            await self._look_on(retrying)
        finally:
            retrying.cancel()
            await asyncio.gather(retrying, return_exceptions=True)

    async def _look_on(self, retrying: asyncio.Task[None]) -> None:
        subscription, consumer = self._subscription, self._consumer
        self._follow(consumer)
        tasks = consumer._coordinator._coordination_task, consumer._fetcher._fetch_task
        while True:
            if self._failure is not None:
                raise self._failure
            if retrying.done():
                retrying.result()
            lost = any(task.done() for task in tasks) or metadata_task.is_lost(consumer._client)
            if lost or all(task.done() for task in subscription.tasks):
                raise StuckConsumer("the consumer's own tasks have ended")
            try:
                await self._positions.look(consumer)
                self._answered_at = time.monotonic()
            except (KafkaError, TimeoutError) as error:
                self._positions.excuse_all()
                self._positions.unsettle()
                self._log.warning("the broker does not answer", error=repr(error))
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    def _follow(self, consumer: Any) -> None:
        """See what the consumer hands out. When it is asked for more, all that it handed out before is taken in."""
        fetch = consumer.getmany

        async def getmany(*partitions: TopicPartition, **options: Any) -> Mapping[TopicPartition, Sequence[Any]]:
            if self._in_hand:  # FastStream lost it: reading on would pass over it
                self._failure = self._failure or StuckConsumer("a batch was handed out and not taken in")
                await self._ending.wait()
            if not self._ending.is_set():
                self._settle(consumer)
            found: Mapping[TopicPartition, Sequence[Any]] = await fetch(*partitions, **options)
            self._in_hand = tuple(record for records in found.values() for record in records)
            return found

        consumer.getmany = getmany

    def _settle(self, consumer: Any) -> None:
        subscription = consumer._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or not self._positions.is_assigned:
            return
        states = {each: assignment.state_value(each) for each in assignment.tps}
        waiting = self._waiting_now()
        self._positions.settle(
            {each: waiting.limit(each, state.position) for each, state in states.items() if state.has_valid_position}
        )

    def _waiting_now(self) -> WaitingRecords:
        """What waits of the partitions that are assigned now."""
        if self._waiting_since != self._positions.generation:
            self._waiting_since = self._positions.generation
            self._waiting.clear()
            self._postponed.clear()
        return self._waiting

    async def _retry_waiting(self) -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_TRIES)
            if waiting := self._waiting_now():
                self._positions.excuse_all()
                if await waiting.retry():
                    await self._commit(dict(self._postponed), self._waiting_since)

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
                if await self._take_in(records, generation):
                    failpoints.hit("consumer.after_tx_before_offset")
                    await self._commit(ends_of(records), generation)
                    self._in_hand = ()
        except Exception as error:
            self._failure = error
            _log.exception("a batch can be neither taken in nor kept; the consumer ends")
            await self._ending.wait()

    async def _take_in(self, records: Records, generation: int) -> bool:
        """Returns False when the consumer is being stopped while the database is away: the records come again."""
        if came_late(records[-1]):
            self._positions.stay_unsettled()
        backoff = SHORTEST_BACKOFF
        free: Sequence[Any] = self._waiting_now().split(records)
        while not self._ending.is_set():
            try:
                if self._waiting.is_full:
                    raise HeldUp(())
                await self._inbox.accept(free)
                return True
            except HeldUp as error:
                if error.records:
                    if generation == self._positions.generation:
                        self._waiting_now().add(error.records)
                    return True
                self._log.error("too many records wait for locks; nothing more is read")
            except Exception as error:
                if not is_connection_failure(error):
                    raise
                self._log.warning("the database is away; the batch waits", error=repr(error), wait_seconds=backoff)
            self._positions.excuse_all()
            await pause(self._ending, backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)
        return False

    async def _commit(self, ends: Mapping[TopicPartition, int], generation: int) -> None:
        """Commit these offsets, as far as nothing waits before them. When that fails, the records come again and are
        absorbed."""
        if generation != self._positions.generation:
            return
        waiting = self._waiting_now()
        limited = {each: waiting.limit(each, end) for each, end in ends.items()}
        for each, end in ends.items():
            if limited[each] < end:
                self._postponed[each] = max(end, self._postponed.get(each, 0))
            else:
                self._postponed.pop(each, None)
        try:
            await asyncio.wait_for(self._positions.find_starts(self._consumer, limited), COMMIT_SECONDS)
            self._positions.take_in(limited, generation)
            await asyncio.wait_for(self._consumer.commit(limited), COMMIT_SECONDS)
        except (KafkaError, TimeoutError) as error:
            _commit_failures.inc()
            self._log.warning("offsets not committed", error=repr(error))


async def _parse(records: Records, _original: object) -> KafkaMessage:
    """Hand the records on untouched: FastStream's own parser fails at headers that are not text."""
    return KafkaMessage(raw_message=records, body=records, consumer=FAKE_CONSUMER)


async def _decode(message: KafkaMessage, _original: object) -> Any:
    return message.raw_message
