"""The rate at which one process consumes events: invoicing enqueues invoices, returns copies orders."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from benchmarks import subjects
from benchmarks.measuring import cpu_seconds
from benchmarks.order_events import LIFE_CYCLE, new_order_events
from benchmarks.produced import produce, suspended
from benchmarks.results import Result
from local_stack.stack import Stack, StackProcess
from orders.events import ORDERS_TOPIC
from support.waiting import eventually

ROUNDS = 5
SHIPPED = ("order.shipped",)


@dataclass(frozen=True, slots=True)
class Consumer:
    """The consumer that a benchmark measures. `effects` is a query that counts the rows it wrote, one per order."""

    service: str
    title: str
    types: Sequence[str]
    orders: int
    effects: str


CONSUMERS = (
    Consumer("invoicing", "invoicing: shipped orders accepted", SHIPPED, 3_000, "SELECT count(*) FROM jobs"),
    Consumer("returns", "returns: order events copied", LIFE_CYCLE, 2_000, "SELECT count(*) FROM known_orders"),
)


@dataclass(frozen=True, slots=True)
class Consumption:
    """The result of a round. Processor time is in microseconds per event."""

    per_second: float
    process_us: float
    database_us: float


def measure() -> Iterator[Result]:
    for consumer in CONSUMERS:
        with (
            subjects.stack(consumer.service) as stack,
            subjects.running(stack, consumer.service, "consumer") as process,
        ):
            yield from _measure(stack, consumer, process)


def _measure(stack: Stack, consumer: Consumer, process: StackProcess) -> Iterator[Result]:
    rounds = [asyncio.run(_consume(stack, consumer, process)) for _ in range(1 + ROUNDS)][1:]
    asyncio.run(_check(stack, consumer))
    title = consumer.title
    rates = [each.per_second for each in rounds]
    yield Result.absolute(title, "events/s", rates, floor=1500, aim=3000, is_ceiling=False)
    yield Result.absolute(f"{title}, processor", "µs/event", [each.process_us for each in rounds])
    yield Result.absolute(f"{title}, processor of database", "µs/event", [each.database_us for each in rounds])


async def _consume(stack: Stack, consumer: Consumer, process: StackProcess) -> Consumption:
    """Measure from the resumption of the consumer, with all events in Kafka, until the commit of the last event."""
    events = new_order_events(consumer.orders, consumer.types)
    pid, database = process.server.pid, stack.postgres.pid
    connection = await _connect(stack, consumer)
    try:
        expected = await connection.fetchval("SELECT count(*) FROM inbox") + len(events)
        with suspended(pid):
            produce(stack.kafka, ORDERS_TOPIC, events)
            before = cpu_seconds(pid), cpu_seconds(database)
            start = time.perf_counter()

        async def all_consumed() -> bool:
            return bool(await connection.fetchval("SELECT count(*) = $1 FROM inbox", expected))

        await eventually(all_consumed, within=60)
        seconds = time.perf_counter() - start
        cpu_time = cpu_seconds(pid) - before[0], cpu_seconds(database) - before[1]
    finally:
        await connection.close()
    count = len(events)
    return Consumption(count / seconds, cpu_time[0] / count * 1e6, cpu_time[1] / count * 1e6)


async def _check(stack: Stack, consumer: Consumer) -> None:
    connection = await _connect(stack, consumer)
    try:
        expected = (1 + ROUNDS) * consumer.orders
        orders = await connection.fetchval(consumer.effects)
        poisons = await connection.fetchval("SELECT count(*) FROM poison")
    finally:
        await connection.close()
    if (orders, poisons) != (expected, 0):
        raise SystemExit(f"{consumer.service} has {orders} in place of {expected} orders, and {poisons} poisons")


async def _connect(stack: Stack, consumer: Consumer) -> Any:
    return await asyncpg.connect(stack.postgres.dsn(consumer.service, consumer.service))
