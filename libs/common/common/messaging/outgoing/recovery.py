"""Held-back events: tries unavailable partitions separately, until they accept events again (ADR 18)."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiokafka.errors import KafkaError

from common.database.statements import Connection
from common.database.transactions import Pool, is_connection_failure, reading
from common.messaging.outgoing.delivery import Delivery
from common.messaging.outgoing.holds import WHOLE_TOPIC, Hold, Partition, holds_with_rows, new_hold
from common.messaging.outgoing.lanes import LaneLeases
from common.messaging.outgoing.pending_events import Row, Tokens, free, hold_back, read_pending
from common.messaging.outgoing.publisher import Publisher
from common.telemetry.rate_limited_log import RateLimitedLog

SHORTEST_WAIT, LONGEST_WAIT = 0.25, 2.0
SHORTEST_PATIENCE, LONGEST_PATIENCE = 2.0, 10.0
ROWS_OF_A_TRIAL = 100
# Each reads as much as the ready rows of a round.
RECOVERING_AT_ONCE = 2

_log = RateLimitedLog(structlog.get_logger(__name__))

Settle = Callable[[Delivery, Tokens], Awaitable[None]]


class DeliveryFailed(Exception):
    """Rows stay pending because Kafka did not acknowledge them; they are sent again."""


class HeldPartitions:
    """The partitions that one relay sends nothing to. Each is tried by a task with its own producer, so that the others
    do not wait for it. Once it accepts events again, `read_recovering` returns its rows for the relay, the oldest
    first. `settle` stores the result of a trial.
    """

    def __init__(self, pool: Pool, leases: LaneLeases, new_publisher: Callable[[], Publisher], settle: Settle) -> None:
        self._pool = pool
        self._leases = leases
        self._new_publisher = new_publisher
        self._settle = settle
        self.holds: dict[Partition, Hold] = {}
        self._tasks: dict[Partition, asyncio.Task[None]] = {}
        # Tasks of holds that ended, until they have closed their producers.
        self._cancelled_tasks: set[asyncio.Task[None]] = set()
        self._known_tokens: Tokens = {}
        # A hold ends when it has no rows, and none may be added in between.
        self._changing = asyncio.Lock()

    def check(self) -> None:
        """Raises the error of a task that ended with one."""
        for task in self._tasks.values():
            if task.done():
                task.result()

    async def close(self) -> None:
        tasks = [*self._tasks.values(), *self._cancelled_tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def take_over(self, connection: Connection, tokens: Tokens) -> None:
        """Begin to try the partitions that rows in newly leased lanes wait for, before any of their rows is read."""
        new = [lane for lane, token in tokens.items() if self._known_tokens.get(lane) != token]
        for hold in await holds_with_rows(connection, new) if new else ():
            self._begin(hold)
        self._known_tokens = dict(tokens)

    async def add(self, connection: Connection, delivery: Delivery, tokens: Tokens) -> None:
        """Hold back the rows that a delivery could not send, and begin to try the unavailable partitions."""
        if not delivery.unavailable and not delivery.held_back:
            return
        async with self._changing:
            for partition, reason in delivery.unavailable.items():
                await self._hold(connection, partition, reason)
            for partition, rows in delivery.held_back.items():
                if hold := self.holds.get(partition):
                    await hold_back(connection, rows, hold.id, tokens)

    async def read_recovering(self, connection: Connection, tokens: Tokens) -> list[Row]:
        """The next rows of partitions that accept events again. A hold without rows ends."""
        rows: list[Row] = []
        async with self._changing:
            recovering = [hold for hold in self.holds.values() if hold.is_recovering]
            # A whole topic last: rows of the same key that wait for their partition are older.
            recovering.sort(key=lambda hold: hold.partition[1] == WHOLE_TOPIC)
            for hold in recovering[:RECOVERING_AT_ONCE]:
                rows_of_hold = await read_pending(connection, tokens, hold.id)
                rows += rows_of_hold
                if not rows_of_hold:
                    # Rows behind a parked one, which are not read, may be left.
                    await free(connection, hold.id, tokens)
                    self._end(hold)
        return rows

    async def _hold(self, connection: Connection, partition: Partition, reason: str) -> None:
        topic, number = partition
        _log.error(
            "events wait for a partition that accepts none",
            about=partition, topic=topic, partition="all" if number == WHOLE_TOPIC else number, reason=reason,
        )  # fmt: skip
        for hold in self.holds.values():
            if hold.partition == partition or (number == WHOLE_TOPIC and hold.partition[0] == topic):
                hold.is_recovering = False
        if partition not in self.holds:
            self._begin(await new_hold(connection, partition))

    def _begin(self, hold: Hold) -> None:
        if hold.partition not in self.holds:
            self.holds[hold.partition] = hold
            self._tasks[hold.partition] = asyncio.create_task(self._try(hold))

    def _end(self, hold: Hold) -> None:
        del self.holds[hold.partition]
        task = self._tasks.pop(hold.partition)
        task.cancel()
        self._cancelled_tasks.add(task)
        task.add_done_callback(self._cancelled_tasks.discard)

    async def _try(self, hold: Hold) -> None:
        publisher = self._new_publisher()
        wait, patience = SHORTEST_WAIT, SHORTEST_PATIENCE
        try:
            while True:
                await asyncio.sleep(wait)
                if hold.is_recovering:
                    await publisher.discard()
                    wait, patience = SHORTEST_WAIT, SHORTEST_PATIENCE
                elif await self._succeeds(hold, publisher, patience):
                    hold.is_recovering = True
                else:
                    wait, patience = min(2 * wait, LONGEST_WAIT), min(2 * patience, LONGEST_PATIENCE)
        finally:
            await publisher.discard()

    async def _succeeds(self, hold: Hold, publisher: Publisher, patience: float) -> bool:
        try:
            return await self._trial(hold, publisher, patience)
        except Exception as error:
            if not isinstance(error, KafkaError | DeliveryFailed) and not is_connection_failure(error):
                raise
            _log.warning("held-back events not tried", about=hold.partition, topic=hold.partition[0], error=repr(error))
            await publisher.discard()
            return False

    async def _trial(self, hold: Hold, publisher: Publisher, patience: float) -> bool:
        """Send the first rows. Returns whether the partition accepts events, even if it refuses one of these rows."""
        tokens = self._leases.held()
        if not tokens:
            return False
        async with reading(self._pool) as connection:
            rows = (await read_pending(connection, tokens, hold.id))[:ROWS_OF_A_TRIAL]
        if not rows:
            return await publisher.answers(hold.partition)
        delivery = await publisher.deliver(
            rows,
            may_send=lambda: self._leases.are_held(tokens),
            hurry=asyncio.Event(),
            holds=self.holds,
            patience=patience,
        )
        try:
            await self._settle(delivery, tokens)
        except DeliveryFailed:
            await publisher.discard()
        if hold.partition[1] == WHOLE_TOPIC:
            return hold.partition not in delivery.unavailable
        return bool(delivery.acknowledged or delivery.refused or delivery.suspects)
