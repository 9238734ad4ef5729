"""Relay and subscriber with their production settings, while brokers, relays and consumers are killed."""

import asyncio
import contextlib
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from common.database.transactions import Pool, transaction
from common.messaging.incoming.subscriber import Subscriber
from common.messaging.kafka.topics import create_topics
from common.messaging.outgoing.outbox import send_again
from prometheus_client import REGISTRY
from support.kafka.relays import running_relay, wait_until_published, write_events
from support.kafka.subscribers import create_lines, running_subscriber, written_lines
from support.kafka.topics import Topics
from support.postgres.databases import MakeDatabase, MakePool
from support.processes.hanging_servers import paused
from support.processes.relay_and_consumer import role_process
from support.processes.servers import new_kafka
from support.waiting import eventually, time_passes

ORDERS = [f"order-{number}" for number in range(50)]


@pytest.mark.timeout(240)
async def test_killed_brokers_and_members_lose_repeat_and_reorder_nothing(
    session_folder: Path, make_database: MakeDatabase, make_pool: MakePool
) -> None:
    """Orders write events all the while. A second consumer joins (a rebalance), the broker is killed and comes back,
    then a relay and a consumer are killed. In the end each event has had one effect, each order's in sequence."""
    orders, invoicing = make_database(None), make_database(None)
    await create_lines(invoicing)
    orders_pool, invoicing_pool = await make_pool(orders), await make_pool(invoicing)
    writing = asyncio.Event()
    writing.set()

    async def write(topic: str) -> int:
        sequence = 0
        while writing.is_set():
            sequence += 1
            await write_events(orders_pool, topic, ORDERS, range(sequence, sequence + 1))
            await time_passes(0.02, "orders come at a steady pace")
        return sequence

    async def progress() -> None:
        """Wait for an event that was not yet written now."""
        newest = await orders_pool.fetchval("SELECT coalesce(max(sequence), 0) FROM outbox")

        async def is_further() -> bool:
            return bool(await invoicing_pool.fetchval("SELECT max(sequence) > $1 FROM lines", newest))

        await eventually(is_further, within=60)

    with new_kafka(session_folder / "mortal-kafka") as broker:
        topic = await Topics(broker.bootstrap).create(partitions=6)
        writer = asyncio.create_task(write(topic))
        with (
            role_process("relay", orders, broker.bootstrap, topic, name="relay-1") as relay,
            role_process("relay", orders, broker.bootstrap, topic, name="relay-2"),
            role_process("consumer", invoicing, broker.bootstrap, topic) as consumer,
        ):
            await progress()
            async with running_subscriber(invoicing_pool, broker.bootstrap, [topic]) as second:
                await eventually(lambda: serves(topic, 3))
                await progress()

                broker.kill()
                await eventually(lambda: is_cut_off(second))
                await asyncio.to_thread(broker.start)
                await progress()

                relay.send(signal.SIGKILL)
                consumer.send(signal.SIGKILL)
                await eventually(lambda: serves(topic, 6))
                await progress()

                writing.clear()
                count = await writer
                await wait_until_published(orders_pool)
                await eventually(lambda: all_processed(invoicing_pool, count * len(ORDERS)))

        sent, _repeats = await Topics(broker.bootstrap).sequences(topic)
    expected = {order: list(range(1, count + 1)) for order in ORDERS}
    processed: dict[str, list[int]] = {}
    for order, sequence in await written_lines(invoicing_pool):
        processed.setdefault(order, []).append(sequence)
    assert sent == expected
    assert processed == expected


async def test_relay_and_consumer_stop_in_time_while_the_broker_hangs(
    session_folder: Path, make_database: MakeDatabase, make_pool: MakePool
) -> None:
    orders, invoicing = make_database(None), make_database(None)
    await create_lines(invoicing)
    orders_pool, invoicing_pool = await make_pool(orders), await make_pool(invoicing)
    others = asyncio.all_tasks()
    with new_kafka(session_folder / "hung-kafka") as broker, contextlib.ExitStack() as hung:
        topic = await Topics(broker.bootstrap).create(partitions=3)
        async with asyncio.timeout(60):
            async with (
                running_relay(orders_pool, broker.bootstrap),
                running_subscriber(invoicing_pool, broker.bootstrap, [topic]) as consumer,
            ):
                await write_events(orders_pool, topic, ORDERS, range(1, 2))
                await eventually(lambda: all_processed(invoicing_pool, len(ORDERS)))
                hung.enter_context(paused(broker))
                await write_events(orders_pool, topic, ORDERS, range(2, 3))
                await eventually(lambda: is_cut_off(consumer))
                stopped_at = time.monotonic()
            assert time.monotonic() - stopped_at < 15  # each within its 10 seconds, one after the other here
    # Here a process would end. A consumer that was not stopped in time goes on to look for its broker.
    left_over = asyncio.all_tasks() - others
    for task in left_over:
        task.cancel()
    await asyncio.gather(*left_over, return_exceptions=True)


async def test_a_broker_that_lost_its_data_is_filled_again_without_second_effects(
    session_folder: Path, make_database: MakeDatabase, make_pool: MakePool
) -> None:
    orders, invoicing = make_database(None), make_database(None)
    await create_lines(invoicing)
    orders_pool, invoicing_pool = await make_pool(orders), await make_pool(invoicing)
    with new_kafka(session_folder / "lost-kafka") as lost:
        topic = await Topics(lost.bootstrap).create(partitions=3)
        async with (
            running_relay(orders_pool, lost.bootstrap),
            running_subscriber(invoicing_pool, lost.bootstrap, [topic]),
        ):
            await write_events(orders_pool, topic, ORDERS, range(1, 4))
            await eventually(lambda: all_processed(invoicing_pool, 3 * len(ORDERS)))

    with new_kafka(session_folder / "empty-kafka") as broker:
        await create_topics(broker.bootstrap, [topic], partitions=3)
        async with transaction(orders_pool) as connection:
            assert await send_again(connection, datetime(2026, 1, 1, tzinfo=UTC)) == 3 * len(ORDERS)
        async with (
            running_relay(orders_pool, broker.bootstrap),
            running_subscriber(invoicing_pool, broker.bootstrap, [topic]),
        ):
            await write_events(orders_pool, topic, ORDERS, range(4, 5))
            await eventually(lambda: all_processed(invoicing_pool, 4 * len(ORDERS)))
        sent, _repeats = await Topics(broker.bootstrap).sequences(topic)

    assert sent == {order: [1, 2, 3, 4] for order in ORDERS}
    assert sorted(await written_lines(invoicing_pool)) == sorted(
        (order, each) for order in ORDERS for each in range(1, 5)
    )


async def serves(subscriber_topic: str, partitions: int) -> bool:
    """Whether the consumer in this process has so many of the topic's partitions."""
    samples = [sample for metric in REGISTRY.collect() if metric.name == "consumer_lag" for sample in metric.samples]
    return sum(sample.labels["topic"] == subscriber_topic for sample in samples) == partitions


async def is_cut_off(subscriber: Subscriber) -> bool:
    return not subscriber.connected


async def all_processed(pool: Pool, count: int) -> bool:
    return bool(await pool.fetchval("SELECT count(*) = $1 FROM lines", count))
