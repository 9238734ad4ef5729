"""From the commit of one event to its acknowledgement, and to an independent consumer, at a steady rate."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer
from benchmarks.order_events import PARTITIONS, Row, append, lives_of
from benchmarks.results import Result
from common.database.transactions import Pool, open_pool, transaction
from local_stack.stack import Stack
from orders.events import ORDERS_TOPIC
from support.waiting import eventually

PER_SECOND = 200
SECONDS_PER_ROUND = 3
ROUNDS = 5
_WATCH_MARKS = """
CREATE TABLE marks (position BIGINT PRIMARY KEY, at TIMESTAMP WITH TIME ZONE NOT NULL);
GRANT SELECT ON marks TO orders;
CREATE FUNCTION note_mark() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN INSERT INTO marks VALUES (OLD.position, clock_timestamp()); RETURN NULL; END $$;
CREATE TRIGGER marked AFTER DELETE ON outbox_pending FOR EACH ROW EXECUTE FUNCTION note_mark();
"""
_MARKED = "SELECT id, at FROM outbox JOIN marks USING (position) WHERE id = ANY ($1)"


@dataclass
class _Seen:
    """Moments of the machine's clock by event; `marked` is when the relay wrote down the acknowledgement."""

    committed: dict[str, float] = field(default_factory=dict)
    received: dict[str, float] = field(default_factory=dict)
    marked: dict[str, float] = field(default_factory=dict)

    def milliseconds(self, moments: dict[str, float]) -> list[float]:
        return sorted((moments[each] - committed) * 1000 for each, committed in self.committed.items())


def measure(stack: Stack) -> Iterator[Result]:
    """The relay of orders must be running."""
    rounds = asyncio.run(_rounds(stack))
    acknowledged = [seen.milliseconds(seen.marked) for seen in rounds]
    received = [seen.milliseconds(seen.received) for seen in rounds]
    title = f"relay at {PER_SECOND} orders/s, commit to"
    yield Result.absolute(f"{title} acknowledgement, p50", "ms", _percentiles(acknowledged, 50), floor=25, aim=10)
    yield Result.absolute(f"{title} acknowledgement, p99", "ms", _percentiles(acknowledged, 99), floor=100)
    yield Result.absolute(f"{title} another consumer, p50", "ms", _percentiles(received, 50))
    yield Result.absolute(f"{title} another consumer, p99", "ms", _percentiles(received, 99))


def _percentiles(rounds: Sequence[Sequence[float]], percent: int) -> list[float]:
    return [statistics.quantiles(each, n=100)[percent - 1] for each in rounds]


async def _rounds(stack: Stack) -> list[_Seen]:
    owner = await asyncpg.connect(stack.postgres.dsn("orders", "orders_owner"))
    await owner.execute(_WATCH_MARKS)
    await owner.close()
    pool = await open_pool(stack.postgres.dsn("orders", "orders"), size=20, application_name="orders of the benchmark")
    try:
        async with _listening(stack.kafka.bootstrap) as received:
            await _write(pool, 1)  # only warms up
            return [await _round(pool, received) for _ in range(ROUNDS)]
    finally:
        await pool.close()


async def _round(pool: Pool, received: dict[str, float]) -> _Seen:
    seen = _Seen(await _write(pool, SECONDS_PER_ROUND), received)
    ids = [UUID(each) for each in seen.committed]

    async def all_seen() -> bool:
        seen.marked = {str(row["id"]): row["at"].timestamp() for row in await pool.fetch(_MARKED, ids)}
        return received.keys() >= seen.committed.keys() == seen.marked.keys()

    await eventually(all_seen)
    return seen


async def _write(pool: Pool, seconds: float) -> dict[str, float]:
    """Commit one event every few milliseconds, however long each takes; when each was committed."""
    committed: dict[str, float] = {}
    events = lives_of(round(PER_SECOND * seconds), types=("order.created",))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, row in enumerate(events):
            await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.perf_counter()))
            group.create_task(_commit(pool, row, committed))
    return committed


async def _commit(pool: Pool, row: Row, committed: dict[str, float]) -> None:
    async with transaction(pool) as connection:
        await append(connection, row)
    committed[str(row["id"])] = time.time()


@asynccontextmanager
async def _listening(bootstrap: str) -> AsyncIterator[dict[str, float]]:
    """When each event came, by its id, from now on."""
    received: dict[str, float] = {}
    async with AIOKafkaConsumer(ORDERS_TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="latest") as consumer:
        listening = asyncio.create_task(_listen(consumer, received))
        try:
            await eventually(partial(_has_all, consumer))
            yield received
        finally:
            listening.cancel()


async def _has_all(consumer: AIOKafkaConsumer) -> bool:
    return len(consumer.assignment()) == PARTITIONS


async def _listen(consumer: AIOKafkaConsumer, received: dict[str, float]) -> None:
    async for record in consumer:
        received.setdefault(dict(record.headers)["ce_id"].decode(), time.time())
