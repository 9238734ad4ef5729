"""The relay compared with a raw producer (c): events a second, and the latency from commit to acknowledgement."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from benchmarks import measuring, order_events, relay_latency, subjects
from benchmarks.measuring import cpu_seconds
from benchmarks.order_events import PARTITIONS, Row
from benchmarks.produced import produce
from benchmarks.results import Result
from common.messaging.kafka.topics import create_topics
from local_stack.stack import Stack, StackProcess
from orders.events import ORDERS_TOPIC
from support.waiting import eventually

RAW_TOPIC = "raw-producer"
# Five events each. With so many, the pause of an idle relay between its polls has little effect.
ORDERS_PER_ROUND = 12_000
ROUNDS = 5
# The last row is in the last batch.
_LAST_IS_PUBLISHED = "SELECT NOT EXISTS (SELECT FROM outbox_pending WHERE position = $1)"
_PENDING = "SELECT count(*) FROM outbox_pending"


@dataclass(frozen=True, slots=True)
class Drain:
    """How one variant published the events of a round. Processor time is in microseconds per event."""

    per_second: float
    process_us: float
    others_us: float


def measure() -> Iterator[Result]:
    with subjects.stack("orders") as stack, subjects.running(stack, "orders", "relay") as relay:
        asyncio.run(create_topics(stack.kafka.bootstrap, [RAW_TOPIC], partitions=PARTITIONS))
        yield from _rates(_Comparison(stack, relay))
        yield from relay_latency.measure(stack)


def _rates(comparison: "_Comparison") -> Iterator[Result]:
    runs = measuring.interleaved(("relay", "producer"), comparison.run, rounds=ROUNDS)
    comparison.compare_topics()
    relay, producer = runs["relay"], runs["producer"]
    yield Result.compared(
        "relay, table to acknowledgement",
        "events/s",
        [each.per_second for each in relay],
        [each.per_second for each in producer],
        to="raw producer (c)",
        floor=0.25,
        aim=0.4,
    )
    yield Result.absolute("raw producer (c)", "events/s", [each.per_second for each in producer])
    for name, drains in (("relay", relay), ("raw producer (c)", producer)):
        yield Result.absolute(f"{name}, processor", "µs/event", [each.process_us for each in drains])
        yield Result.absolute(
            f"{name}, processor of database and broker", "µs/event", [each.others_us for each in drains]
        )


class _Comparison:
    """The same events are published by the relay and by the raw producer, in either order."""

    def __init__(self, stack: Stack, relay: StackProcess) -> None:
        self._stack = stack
        self._relay = relay
        self._others = (stack.postgres.pid, stack.kafka.pid)
        self._rows: dict[str, list[list[Row]]] = {"relay": [], "producer": []}

    def run(self, variant: str) -> Drain:
        rows = self._next_rows(variant)
        return self._produce(rows) if variant == "producer" else asyncio.run(self._drain(rows))

    def _next_rows(self, variant: str) -> list[Row]:
        """The events of the next round of a variant; the first variant of a round creates them for both."""
        own, other = self._rows[variant], self._rows["producer" if variant == "relay" else "relay"]
        own.append(other[len(own)] if len(other) > len(own) else order_events.new_order_events(ORDERS_PER_ROUND))
        return own[-1]

    def _produce(self, rows: Sequence[Row]) -> Drain:
        measurement = produce(self._stack.kafka, RAW_TOPIC, rows)
        count = len(rows)
        return Drain(
            count / measurement["seconds"],
            measurement["processor_seconds"] / count * 1e6,
            measurement["broker_seconds"] / count * 1e6,
        )

    async def _drain(self, rows: Sequence[Row]) -> Drain:
        """Measure from the commit of all rows until the last is marked as published, after its acknowledgement."""
        pid = self._relay.server.pid
        connection = await asyncpg.connect(self._stack.postgres.dsn("orders", "orders"))
        try:
            async with connection.transaction():
                await order_events.copy_into_outbox(connection, rows)
                last = await connection.fetchval("SELECT max(position) FROM outbox")
                before = cpu_seconds(pid), _total(self._others)
            start = time.perf_counter()
            await eventually(lambda: connection.fetchval(_LAST_IS_PUBLISHED, last), within=120, pause=0.005)
            seconds = time.perf_counter() - start
            cpu_time = cpu_seconds(pid) - before[0], _total(self._others) - before[1]
            assert await connection.fetchval(_PENDING) == 0
        finally:
            await connection.close()
        count = len(rows)
        return Drain(count / seconds, cpu_time[0] / count * 1e6, cpu_time[1] / count * 1e6)

    def compare_topics(self) -> None:
        """Exit if the topics do not have the same records in the same order in each partition."""
        count = sum(map(len, self._rows["relay"]))
        relayed, raw = (asyncio.run(_contents(self._stack.kafka.bootstrap, each)) for each in (ORDERS_TOPIC, RAW_TOPIC))
        if relayed != raw or raw[0] != count:
            raise SystemExit(
                f"{count} events were written, {relayed[0]} relayed and {raw[0]} produced, or their content differs"
            )


def _total(pids: Iterable[int]) -> float:
    return sum(cpu_seconds(pid) for pid in pids)


async def _contents(bootstrap: str, topic: str) -> tuple[int, list[bytes]]:
    """The number of records, and a digest of each partition."""
    digests = [sha256() for _ in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        count = 0
        while count < sum(ends.values()):
            for partition, batch in (await consumer.getmany(timeout_ms=1000)).items():
                count += len(batch)
                for record in batch:
                    digests[partition.partition].update(repr((record.key, record.value, record.headers)).encode())
    finally:
        await consumer.stop()
    return count, [each.digest() for each in digests]
