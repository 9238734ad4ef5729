"""Consumes events: each has its effect in the database once, by the committed offsets and the inbox (ADR 14)."""

import asyncio
import contextlib
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Histogram

from common import failpoints
from common.component import Component, pause, unless_stopping
from common.database.transactions import Pool, is_connection_failure
from common.messaging.incoming.batches import ends_of
from common.messaging.incoming.inbox import Inbox, RecordsLocked
from common.messaging.incoming.progress import Progress
from common.messaging.incoming.record_source import COMMIT_SECONDS, ClientErrors, Records, RecordSource
from common.messaging.incoming.records import Handlers, came_late
from common.messaging.incoming.waiting_records import WaitingRecords
from common.messaging.incoming.watchdog import StuckConsumer
from common.telemetry.rate_limited_log import RateLimitedLog

# How long the current batch may take when the consumer stops.
GRACE_SECONDS = 4
SHORTEST_BACKOFF, LONGEST_BACKOFF = 0.1, 3.0
CLIENT_ERROR_PAUSE = 5.0
SECONDS_BETWEEN_MEASUREMENTS = 0.5
SECONDS_BETWEEN_RETRIES = 0.5
# How long the broker may stay silent before this consumer counts as disconnected.
SILENCE_SECONDS = 3.0
# A relay that cannot reach Kafka tries again after 2 seconds at the latest, and after 3 where only a topic is missing.
SETTLE_SECONDS = 6.0

_log = structlog.get_logger(__name__)
_batch_seconds = Histogram("consumer_batch_seconds", "From a batch's arrival to its offsets' commit", ["consumer"])
_commit_failures = Counter("consumer_commit_failures_total", "Offset commits that failed; the records come again")


class Subscriber:
    """One member of a service's consumer group.

    The keys of `handlers` are the short names of event types; other types are skipped. A member that sends no heartbeat
    for `session_seconds` loses its partitions to the other members. When there is something to read, and no progress
    for `stuck_after_seconds`, the process ends and is started again. For `settle_seconds` after Kafka was unavailable
    nothing counts as caught up (ADR 9).
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
        self._group = group
        self._progress = Progress(pool, stuck_after_seconds=stuck_after_seconds, settle_seconds=settle_seconds)
        self._new_source = partial(
            RecordSource,
            bootstrap,
            group=group,
            topics=topics,
            session_seconds=session_seconds,
            listener=self._progress,
        )
        self._inbox = Inbox(pool, group, handlers, on_locked=self._progress.watchdog.restart_all)
        self._waiting = WaitingRecords(self._inbox)
        self._client_errors = ClientErrors()
        self._log = RateLimitedLog(_log)
        self._leaving = asyncio.Event()
        self._batch_lock = asyncio.Lock()
        self._answered_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether the consumer is a member of its group and the broker answered it within the last seconds."""
        return self._progress.positions.is_assigned and time.monotonic() - self._answered_at < SILENCE_SECONDS

    @property
    def component(self) -> Component:
        return Component("consumer", self.run, self._not_ready)

    def _not_ready(self) -> str | None:
        if error := self._client_errors.recent:
            return f"kafka: {error}"
        return None if self.connected else "kafka: not connected"

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set, then finish the current batch.

        Waits while the broker or the database is unavailable. Raises `StuckConsumer` when only a new process can help.
        """
        backoff = SHORTEST_BACKOFF
        while not stopping.is_set():
            source = self._new_source()
            try:
                if await unless_stopping(stopping, source.start()):
                    await self._consume(source, stopping)
            except (KafkaError, OSError, TimeoutError) as error:
                self._progress.caught_up.await_backlog()
                self._log.warning("Kafka does not answer; trying again", error=repr(error), wait_seconds=backoff)
            finally:
                await self._leave(source, stopping)
            await pause(stopping, backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _consume(self, source: RecordSource, stopping: asyncio.Event) -> None:
        """Consume as a member of the group, with two more tasks: one measures progress, one retries the records that
        wait for locks. When one of the three fails, or the consumer stops, the current batch has `GRACE_SECONDS` to
        finish."""
        self._leaving.clear()
        loops = (self._consume_batches, self._measure_regularly, self._retry_regularly)
        tasks = [asyncio.create_task(loop(source)) for loop in loops]
        try:
            await unless_stopping(stopping, _first_failure(tasks))
        finally:
            self._leaving.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS), self._batch_lock:
                    pass
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _consume_batches(self, source: RecordSource) -> None:
        while not self._leaving.is_set():
            self._follow(source)
            try:
                records = await source.next_batch()
            except KafkaError as error:
                self._client_errors.report(error)
                await pause(self._leaving, CLIENT_ERROR_PAUSE)
                continue
            if records:
                generation = self._progress.positions.generation
                async with self._batch_lock:
                    await self._consume_batch(source, records, generation)

    async def _consume_batch(self, source: RecordSource, records: Records, generation: int) -> None:
        try:
            with _batch_seconds.labels(self._group).time():
                if await self._process(records, generation):
                    failpoints.hit("consumer.after_tx_before_offset")
                    await self._commit(source, ends_of(records), generation)
        except Exception:
            _log.exception("a batch can be neither processed nor stored as poison; the consumer ends")
            raise

    async def _process(self, records: Records, generation: int) -> bool:
        """Returns False when the consumer stops while the database is unavailable: the records are read again."""
        if came_late(records[-1]):
            self._progress.caught_up.prolong_wait()
        backoff = SHORTEST_BACKOFF
        free: Sequence[Any] = self._waiting_now().split(records)
        while not self._leaving.is_set():
            try:
                if not self._waiting.is_full:
                    await self._inbox.process(free)
                    return True
                self._log.error("too many records wait for locks; nothing more is read")
            except RecordsLocked as error:
                if generation == self._progress.positions.generation:
                    self._waiting_now().add(error.records)
                return True
            except Exception as error:
                if not is_connection_failure(error):
                    raise
                self._log.warning(
                    "the database is unavailable; the batch waits", error=repr(error), wait_seconds=backoff
                )
            self._progress.watchdog.restart_all()
            await pause(self._leaving, backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)
        return False

    async def _commit(self, source: RecordSource, ends: Mapping[TopicPartition, int], generation: int) -> None:
        """Commit these offsets, as far as nothing waits before them. If that fails, the records are read
        again, and the inbox skips them."""
        if generation != self._progress.positions.generation:
            return
        offsets = self._waiting_now().committable(ends)
        try:
            find_starts = self._progress.positions.find_starts(source.consumer, offsets)
            await asyncio.wait_for(find_starts, COMMIT_SECONDS)
            self._progress.mark_processed(offsets, generation)
            await source.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            _commit_failures.inc()
            self._log.warning("offsets not committed", error=repr(error))

    def _follow(self, source: RecordSource) -> None:
        """Before the next batch is asked for, all that was handed out is processed or waits for a lock."""
        if self._progress.positions.is_assigned:
            self._progress.follow(self._waiting_now().limit(source.positions()))

    def _waiting_now(self) -> WaitingRecords:
        """The records that wait, of the partitions that are assigned now."""
        self._waiting.enter(self._progress.positions.generation)
        return self._waiting

    async def _measure_regularly(self, source: RecordSource) -> None:
        while True:
            source.check()
            try:
                await self._progress.measure(source.consumer)
                self._answered_at = time.monotonic()
            except (KafkaError, TimeoutError) as error:
                self._progress.watchdog.restart_all()
                self._progress.caught_up.await_backlog()
                self._log.warning("the broker does not answer", error=repr(error))
            await asyncio.sleep(SECONDS_BETWEEN_MEASUREMENTS)

    async def _retry_regularly(self, source: RecordSource) -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_RETRIES)
            if waiting := self._waiting_now():
                self._progress.watchdog.restart_all()
                generation = self._progress.positions.generation
                if await waiting.retry():
                    await self._commit(source, waiting.postponed, generation)

    async def _leave(self, source: RecordSource, stopping: asyncio.Event) -> None:
        """Leave the group. Raises `StuckConsumer` when the consumer cannot be stopped although the process continues:
        it would remain a member of the group that reads nothing."""
        await self._progress.on_partitions_revoked(())
        try:
            await source.stop()
        except (KafkaError, TimeoutError) as error:
            if not stopping.is_set():
                raise StuckConsumer(f"the consumer does not stop: {error!r}") from error
            _log.warning("the group was not left in order; the session will end", error=repr(error))


async def _first_failure(tasks: Collection["asyncio.Task[None]"]) -> None:
    """Raises what the first task that ends has raised; a task that returns ends nothing."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()
