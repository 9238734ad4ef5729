"""Latency of the relay at a steady rate: from the commit of an event to its acknowledgement, and to a consumer."""

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
from benchmarks.order_events import PARTITIONS, Row, append, new_order_events
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
class _Round:
    """Times of the machine's clock by event id; `marked` is when the relay stored the acknowledgement."""

    committed: dict[str, float] = field(default_factory=dict)
    received: dict[str, float] = field(default_factory=dict)
    marked: dict[str, float] = field(default_factory=dict)

    def milliseconds(self, times: dict[str, float]) -> list[float]:
        return sorted((times[each] - committed) * 1000 for each, committed in self.committed.items())


def measure(stack: Stack) -> Iterator[Result]:
    """The relay of orders must be running."""
    rounds = asyncio.run(_rounds(stack))
    acknowledged = [latencies.milliseconds(latencies.marked) for latencies in rounds]
    received = [latencies.milliseconds(latencies.received) for latencies in rounds]
    title = f"relay at {PER_SECOND} orders/s, commit to"
    yield Result.absolute(f"{title} acknowledgement, p50", "ms", _percentiles(acknowledged, 50), floor=25, aim=10)
    yield Result.absolute(f"{title} acknowledgement, p99", "ms", _percentiles(acknowledged, 99), floor=100)
    yield Result.absolute(f"{title} another consumer, p50", "ms", _percentiles(received, 50))
    yield Result.absolute(f"{title} another consumer, p99", "ms", _percentiles(received, 99))


def _percentiles(rounds: Sequence[Sequence[float]], percent: int) -> list[float]:
    return [statistics.quantiles(each, n=100)[percent - 1] for each in rounds]


async def _rounds(stack: Stack) -> list[_Round]:
    owner = await asyncpg.connect(stack.postgres.dsn("orders", "orders_owner"))
    await owner.execute(_WATCH_MARKS)
    await owner.close()
    pool = await open_pool(stack.postgres.dsn("orders", "orders"), size=20, application_name="orders of the benchmark")
    try:
        async with _consuming(stack.kafka.bootstrap) as received:
            await _write(pool, 1)  # warm-up
            return [await _round(pool, received) for _ in range(ROUNDS)]
    finally:
        await pool.close()


async def _round(pool: Pool, received: dict[str, float]) -> _Round:
    latencies = _Round(await _write(pool, SECONDS_PER_ROUND), received)
    ids = [UUID(each) for each in latencies.committed]

    async def all_seen() -> bool:
        latencies.marked = {str(row["id"]): row["at"].timestamp() for row in await pool.fetch(_MARKED, ids)}
        return received.keys() >= latencies.committed.keys() == latencies.marked.keys()

    await eventually(all_seen)
    return latencies


async def _write(pool: Pool, seconds: float) -> dict[str, float]:
    """Commit events at a steady rate, however long each takes; the time of each commit, by event id."""
    committed: dict[str, float] = {}
    events = new_order_events(round(PER_SECOND * seconds), types=("order.created",))
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, row in enumerate(events):
            await asyncio.sleep(max(0.0, start + number / PER_SECOND - time.perf_counter()))
            group.create_task(_commit(pool, row, committed))
    return committed


async def _commit(pool: Pool, row: Row, committed: dict[str, float]) -> None:
    async with transaction(pool) as connection:
        await append(connection, row)
    committed[str(row["id"])] = time.time()


@asynccontextmanager
async def _consuming(bootstrap: str) -> AsyncIterator[dict[str, float]]:
    """The time at which each further event is received, by its id."""
    received: dict[str, float] = {}
    async with AIOKafkaConsumer(ORDERS_TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="latest") as consumer:
        consuming = asyncio.create_task(_consume(consumer, received))
        try:
            await eventually(partial(_is_assigned, consumer))
            yield received
        finally:
            consuming.cancel()


async def _is_assigned(consumer: AIOKafkaConsumer) -> bool:
    return len(consumer.assignment()) == PARTITIONS


async def _consume(consumer: AIOKafkaConsumer, received: dict[str, float]) -> None:
    async for record in consumer:
        received.setdefault(dict(record.headers)["ce_id"].decode(), time.time())
