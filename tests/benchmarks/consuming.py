"""Events taken in by one process: invoicing numbers and queues shipped orders, returns copies what orders tell."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from benchmarks import subjects
from benchmarks.measuring import cpu_seconds
from benchmarks.order_events import LIFE, lives_of
from benchmarks.produced import asleep, produce
from benchmarks.results import Result
from local_stack.stack import Stack, StackProcess
from orders.events import ORDERS_TOPIC
from support.waiting import eventually

ROUNDS = 5
SHIPPED = ("order.shipped",)


@dataclass(frozen=True, slots=True)
class Consumer:
    """`effects` counts what the events of a round must have left behind, one for each order."""

    service: str
    title: str
    types: Sequence[str]
    orders: int
    effects: str


CONSUMERS = (
    Consumer("invoicing", "invoicing: shipped orders accepted", SHIPPED, 3_000, "SELECT count(*) FROM jobs"),
    Consumer("returns", "returns: order events copied", LIFE, 2_000, "SELECT count(*) FROM known_orders"),
)


@dataclass(frozen=True, slots=True)
class Intake:
    """Processor time is in microseconds per event."""

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
    intakes = [asyncio.run(_take_in(stack, consumer, process)) for _ in range(1 + ROUNDS)][1:]
    asyncio.run(_check(stack, consumer))
    title = consumer.title
    rates = [each.per_second for each in intakes]
    yield Result.absolute(title, "events/s", rates, floor=1500, aim=3000, is_ceiling=False)
    yield Result.absolute(f"{title}, processor", "µs/event", [each.process_us for each in intakes])
    yield Result.absolute(f"{title}, processor of database", "µs/event", [each.database_us for each in intakes])


async def _take_in(stack: Stack, consumer: Consumer, process: StackProcess) -> Intake:
    """The events are in Kafka before the consumer wakes up; the time ends with the last one's commit."""
    events = lives_of(consumer.orders, consumer.types)
    pid, database = process.server.pid, stack.postgres.pid
    connection = await _connect(stack, consumer)
    try:
        all_then = await connection.fetchval("SELECT count(*) FROM inbox") + len(events)
        with asleep(pid):
            produce(stack.kafka, ORDERS_TOPIC, events)
            before = cpu_seconds(pid), cpu_seconds(database)
            began = time.perf_counter()

        async def all_taken_in() -> bool:
            return bool(await connection.fetchval("SELECT count(*) = $1 FROM inbox", all_then))

        await eventually(all_taken_in, within=60)
        seconds = time.perf_counter() - began
        spent = cpu_seconds(pid) - before[0], cpu_seconds(database) - before[1]
    finally:
        await connection.close()
    count = len(events)
    return Intake(count / seconds, spent[0] / count * 1e6, spent[1] / count * 1e6)


async def _check(stack: Stack, consumer: Consumer) -> None:
    connection = await _connect(stack, consumer)
    try:
        expected = (1 + ROUNDS) * consumer.orders
        found = await connection.fetchval(consumer.effects)
        poisons = await connection.fetchval("SELECT count(*) FROM poison")
    finally:
        await connection.close()
    if (found, poisons) != (expected, 0):
        raise SystemExit(f"{consumer.service} has {found} in place of {expected} orders, and {poisons} poisons")


async def _connect(stack: Stack, consumer: Consumer) -> Any:
    return await asyncpg.connect(stack.postgres.dsn(consumer.service, consumer.service))
