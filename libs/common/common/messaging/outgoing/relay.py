"""The outbox relay: publishes committed rows to Kafka, each key's rows in their sequence (ADR 4)."""

import asyncio
from collections import Counter as TopicCounter
from collections.abc import Sequence

import structlog
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Histogram

from common import failpoints
from common.component import Component, pause
from common.database.listener import LONGEST_WAIT, Listener
from common.database.statements import Connection
from common.database.transactions import Pool, is_connection_failure, reading
from common.messaging.outgoing.delivery import Delivery
from common.messaging.outgoing.lanes import LaneLeases
from common.messaging.outgoing.pending_events import Row, Tokens, mark_published, park, read_pending
from common.messaging.outgoing.publisher import Publisher
from common.messaging.outgoing.recovery import DeliveryFailed, HeldPartitions
from common.telemetry.rate_limited_log import RateLimitedLog

SHORTEST_IDLE, LONGEST_IDLE = 0.005, 0.1
SHORTEST_BACKOFF, LONGEST_BACKOFF = 0.1, 2.0
RELEASE_SECONDS = 2.0
# From this many rows on a batch is part of a backlog. After so many batches of it the lanes are distributed again.
LONG_BATCH, MAX_BATCHES_IN_A_ROW = 500, 20

_log = structlog.get_logger(__name__)
_limited_log = RateLimitedLog(_log)
_published = Counter("outbox_published_total", "Outbox rows that Kafka acknowledged", ["topic"])
_failures = Counter("outbox_delivery_failures_total", "Rounds of the relay that ended with rows unsent")
_lost = Counter("outbox_lost_rows_total", "Rows acknowledged after the lane's lease had gone to another relay")
_seconds = Histogram("outbox_relay_batch_seconds", "How long a batch of outbox rows kept the relay")


class Relay:
    """One relay of a service's outbox; any number may run at once and share the lanes. `owner` is its unique name."""

    def __init__(
        self,
        pool: Pool,
        bootstrap: str,
        owner: str,
        *,
        source: str,
        lease_seconds: float = 3.0,
        listener: Listener | None = None,
    ) -> None:
        """Without a listener, or while it is not connected, the outbox is polled."""
        self._pool = pool
        self._listener = listener
        self._leases = LaneLeases(pool, owner, lease_seconds=lease_seconds)
        self._publisher = Publisher(bootstrap, source)
        self._held_back = HeldPartitions(pool, self._leases, lambda: Publisher(bootstrap, source), self._settle)
        # Positions of rows that Kafka may have refused: each is sent in a batch of its own.
        self._send_alone: set[int] = set()

    @property
    def component(self) -> Component:
        return Component("relay", self.run, lambda: None if self._publisher.is_connected else "kafka: not connected")

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish until `stopping` is set; then wait a moment for acknowledgements and release the lanes.

        Raises errors that do not end when Kafka and the database are available again.
        """
        renewal = asyncio.create_task(self._leases.renew_regularly())
        listening = [] if self._listener is None else [asyncio.create_task(self._listener.listen())]
        try:
            await self._relay(stopping, renewal)
        finally:
            for task in (renewal, *listening):
                task.cancel()
            await asyncio.gather(renewal, *listening, return_exceptions=True)
            await self._held_back.close()
            await self._publisher.discard()
            await self._release()

    async def _relay(self, stopping: asyncio.Event, renewal: "asyncio.Task[None]") -> None:
        idle, backoff = SHORTEST_IDLE, SHORTEST_BACKOFF
        while not stopping.is_set():
            if renewal.done():
                renewal.result()
            self._held_back.check()
            if self._listener is not None:
                self._listener.start_round()
            try:
                has_sent = await self._round(stopping)
            except Exception as error:
                if not isinstance(error, KafkaError | DeliveryFailed) and not is_connection_failure(error):
                    raise
                _failures.inc()
                _limited_log.warning("outbox rows not sent; trying again", error=repr(error), wait_seconds=backoff)
                await self._publisher.discard()
                await pause(stopping, backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF)
            else:
                idle = SHORTEST_IDLE if has_sent else min(idle * 2, LONGEST_IDLE)
                backoff = SHORTEST_BACKOFF
                if not has_sent:
                    await self._wait(stopping, idle)
                elif self._listener is not None:
                    self._listener.note_find()

    async def _wait(self, stopping: asyncio.Event, idle: float) -> None:
        """Poll while there was something to send a moment ago, and then wait for a notification."""
        if self._listener is None or not self._listener.may_wait:
            await pause(stopping, idle)
            return
        stop = asyncio.create_task(stopping.wait())
        try:
            await self._listener.wait([stop], LONGEST_WAIT)
        finally:
            stop.cancel()

    async def _round(self, stopping: asyncio.Event) -> bool:
        """Read, send, mark. No transaction is open while Kafka is waited for. Returns whether anything was sent."""
        await self._publisher.connect()
        await self._leases.give_up_surplus()
        tokens = self._leases.held()
        if not tokens:
            return False
        recovering, ready = await self._read_all(tokens)
        if not recovering and not ready:
            return False
        if len(ready) >= LONG_BATCH and not recovering and not self._send_alone:
            await self._drain(ready, tokens, stopping)
            return True
        with _seconds.time():
            delivery = await self._send([*recovering, *ready], tokens, stopping)
            await self._settle(delivery, tokens)
        return bool(delivery.acknowledged or delivery.held_back)

    async def _drain(self, rows: Sequence[Row], tokens: Tokens, stopping: asyncio.Event) -> None:
        """Send batch after batch. While one is sent, the database marks the previous one and reads the next one.

        A batch is sent only when the whole previous one was acknowledged, so rows of a key keep their order.
        """
        previous = Delivery()
        for _ in range(MAX_BATCHES_IN_A_ROW):
            with _seconds.time():
                send_task = asyncio.create_task(self._send(rows, tokens, stopping))
                settle_task = asyncio.create_task(self._settle(previous, tokens))
                read_task = asyncio.create_task(self._read(tokens, [*previous.acknowledged, *rows]))
                # With `return_exceptions` all three have ended after this line, also when this task is cancelled.
                await asyncio.gather(send_task, settle_task, read_task, return_exceptions=True)
            previous = send_task.result()
            settle_task.result()
            next_rows = read_task.result()
            if not next_rows or len(previous.acknowledged) < len(rows) or stopping.is_set():
                break
            rows = next_rows
        await self._settle(previous, tokens)

    async def _read_all(self, tokens: Tokens) -> tuple[Sequence[Row], Sequence[Row]]:
        """The held-back rows that may be sent, then the ready ones: which of these may be sent depends on the first."""
        async with reading(self._pool) as connection:
            await self._held_back.take_over(connection, tokens)
            recovering = await self._held_back.read_recovering(connection, tokens)
            return recovering, await read_pending(connection, tokens)

    async def _read(self, tokens: Tokens, in_flight: Sequence[Row]) -> Sequence[Row]:
        async with reading(self._pool) as connection:
            return await read_pending(connection, tokens, in_flight=in_flight)

    async def _send(self, rows: Sequence[Row], tokens: Tokens, stopping: asyncio.Event) -> Delivery:
        failpoints.hit("relay.after_read")
        if self._send_alone:
            self._send_alone &= {row["position"] for row in rows}
        return await self._publisher.deliver(
            rows,
            may_send=lambda: self._leases.are_held(tokens),
            alone=self._send_alone,
            hurry=stopping,
            holds=self._held_back.holds,
        )

    async def _settle(self, delivery: Delivery, tokens: Tokens) -> None:
        """Store the result of a delivery. Raises `DeliveryFailed`, after that, when rows are still to be sent."""
        failpoints.hit("relay.after_ack_before_mark")
        self._send_alone |= {row["position"] for row in delivery.suspects}
        async with reading(self._pool) as connection:
            if delivery.acknowledged:
                await self._mark(connection, delivery.acknowledged, tokens)
            for row, error in delivery.refused:
                await self._park(connection, row, error, tokens)
            await self._held_back.add(connection, delivery, tokens)
        failpoints.hit("relay.after_mark")
        if delivery.failure is not None:
            raise DeliveryFailed(delivery.failure)

    async def _mark(self, connection: Connection, rows: Sequence[Row], tokens: Tokens) -> None:
        marked_count = await mark_published(connection, rows, tokens)
        _lost.inc(len(rows) - marked_count)
        for topic, count in TopicCounter(row["topic"] for row in rows).items():
            _published.labels(topic).inc(count)

    async def _park(self, connection: Connection, row: Row, error: str, tokens: Tokens) -> None:
        if await park(connection, row, error, tokens):
            _log.critical(
                "Kafka refuses an event for good; it is parked, and the later events of its key wait",
                alert="outbox_parked", topic=row["topic"], key=row["key"], position=row["position"], error=error,
            )  # fmt: skip

    async def _release(self) -> None:
        try:
            await asyncio.wait_for(self._leases.release(), RELEASE_SECONDS)
        except Exception as error:
            _log.warning("lanes not handed over; their leases will end", error=repr(error))
