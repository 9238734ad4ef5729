"""Processes batches of Kafka records: each event once, in one transaction with its effect (ADR 14)."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import Counter, Histogram

from common import failpoints
from common.database.transactions import Pool, is_connection_failure, is_contention, transaction
from common.messaging.envelope import Record, UnreadableRecord
from common.messaging.incoming import poison
from common.messaging.incoming.batches import UndecodableBatch
from common.messaging.incoming.consumer_spans import ConsumerSpans
from common.messaging.incoming.deduplication import process_new
from common.messaging.incoming.records import Handlers, Incoming, log_fields_of, read

# After the try together with the batch; a handler that lost a race against another transaction succeeds then.
TRIES_ALONE = 2
# How long a record that is tried alone waits for a lock: the others of its batch wait for it.
ALONE_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '250ms'"

_log = structlog.get_logger(__name__)
_events = Counter("consumer_events_total", "Records by outcome", ["consumer", "outcome"])
# The objective is 15 seconds: half of the contract's 30 from the event to the work (ADR 46).
_delay = Histogram(
    "consumer_event_delay_seconds",
    "From the writing of an event to the commit of what its consumer does with it",
    ["consumer"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30, 60, 300, 1800, 86400),
)


class RecordsLocked(Exception):
    """All records were processed except these: another transaction holds a lock on what they change, or they follow
    such a record in its key. They are to be processed again, in their order."""

    def __init__(self, records: Sequence[Record]) -> None:
        super().__init__(f"{len(records)} records wait for a lock")
        self.records = records


class Inbox:
    """One consumer's inbox. The keys of `handlers` are the short names of event types. `on_locked` is called for each
    record that did not get a lock in time: many such records take long, and that is no reason to end the process."""

    def __init__(
        self, pool: Pool, consumer: str, handlers: Handlers, *, on_locked: Callable[[], None] = lambda: None
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._handlers = handlers
        self._on_locked = on_locked
        self._observe_delay = _delay.labels(consumer).observe

    async def process(self, records: Sequence[Record]) -> None:
        """Process all records in one transaction; if that fails, each in its own, and those that fail become poison.

        Raises `RecordsLocked`, and connection failures: then it is unknown what was processed, and the same records are
        to be processed again.
        """
        failpoints.hit("consumer.before_tx")
        try:
            await self._process_together(records)
        except Exception as error:
            if is_connection_failure(error) and not is_contention(error):
                raise
            _log.warning("a batch failed; its records are tried one by one", records=len(records), error=repr(error))
            await self.process_each(records)

    async def process_each(self, records: Iterable[Record]) -> None:
        """As `process`, each record in its own transaction from the beginning."""
        locked: list[Record] = []
        keys: set[bytes | None] = set()
        for record in records:
            if record.key in keys or not await self._process_alone(record):
                locked.append(record)
                keys.add(record.key)
        if locked:
            raise RecordsLocked(locked)

    async def _process_alone(self, record: Record) -> bool:
        """Returns False when another transaction held a lock for too long."""
        for tries_left in reversed(range(TRIES_ALONE)):
            try:
                await self._process_together([record], ALONE_LOCK_TIMEOUT)
            except Exception as error:
                if is_contention(error):
                    self._on_locked()
                    return False
                if is_connection_failure(error):
                    raise
                if tries_left == 0:
                    await self._store_poison(record, error)
            else:
                return True
        return True

    async def _process_together(self, records: Sequence[Record], lock_timeout: str | None = None) -> None:
        events: list[tuple[Record, Incoming[Any]]] = []
        unreadable: list[tuple[Record, str]] = []
        for record in records:
            try:
                if (incoming := read(record, self._handlers)) is not None:
                    events.append((record, incoming))
            except UnreadableRecord as error:
                unreadable.append((record, str(error)))
        new: Sequence[Incoming[Any]] = ()
        if events or unreadable:
            with ConsumerSpans(self._consumer, len(records)) as spans:
                async with transaction(self._pool) as connection:
                    if lock_timeout is not None:
                        await connection.execute(lock_timeout)
                    new = await process_new(connection, self._consumer, self._handlers, events, spans)
                    for record, reason in unreadable:
                        await poison.store(connection, self._consumer, record, reason)
        for record, reason in unreadable:
            self._report_poison(record, reason)
        now = datetime.now(UTC)
        for incoming in new:
            self._observe_delay((now - incoming.event.time).total_seconds())
        repeated, skipped = len(events) - len(new), len(records) - len(events) - len(unreadable)
        self._count(accepted=len(new), repeated=repeated, skipped=skipped)

    async def _store_poison(self, record: Record, error: Exception) -> None:
        async with transaction(self._pool) as connection:
            await poison.store(connection, self._consumer, record, repr(error))
        self._report_poison(record, repr(error))

    def _report_poison(self, record: Record, error: str) -> None:
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "error": error[:200]}
        if isinstance(record, UndecodableBatch):
            _log.critical(
                "a batch that cannot be decoded was stored as poison; its records were not processed",
                alert="batch_undecodable", last_offset=record.last_offset, **place,
            )  # fmt: skip
        else:
            _log.error("record stored as poison", **place, **log_fields_of(record))
        self._count(poisoned=1)

    def _count(self, **outcomes: int) -> None:
        for outcome, count in outcomes.items():
            if count:
                _events.labels(self._consumer, outcome).inc(count)
