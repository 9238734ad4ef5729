"""The subscriber writes to the database what is in Kafka, whatever the records are."""

import asyncio
import signal
from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from common.database.statements import Connection
from common.database.transactions import Pool, transaction
from common.messaging.incoming import poison
from common.messaging.incoming.records import EventHandler, Incoming
from structlog.testing import capture_logs
from support.kafka.poison_records import POISON_RECORDS
from support.kafka.raw_records import order_shipped_record, produce
from support.kafka.relays import running_relay, write_events
from support.kafka.subscribers import (
    OrderShipped,
    caught_up,
    has_lines,
    is_connected,
    lag_of,
    running_subscriber,
    write_lines,
    written_lines,
)
from support.postgres.databases import Database
from support.processes.relay_and_consumer import role_process
from support.waiting import eventually, time_passes

ORDERS = [f"order-{number}" for number in range(20)]


async def test_each_event_has_its_effect_once_and_in_the_sequence_of_its_order(
    pool: Pool, kafka: str, topic: str
) -> None:
    await write_events(pool, topic, ORDERS, range(1, 4))
    async with running_relay(pool, kafka), running_subscriber(pool, kafka, [topic]) as subscriber:
        await write_events(pool, topic, ORDERS, range(4, 6))
        await eventually(lambda: has_lines(pool, 100))
        await eventually(lambda: is_connected(subscriber))
    lines = await written_lines(pool)
    for order in ORDERS:
        assert [sequence for name, sequence in lines if name == order] == [1, 2, 3, 4, 5]


async def test_repeats_have_no_effect_in_one_batch_or_later(pool: Pool, kafka: str, topic: str) -> None:
    first, second = order_shipped_record("order-1", 1), order_shipped_record("order-1", 2)
    await produce(kafka, topic, [first, second, first])
    async with running_subscriber(pool, kafka, [topic]):
        await caught_up(pool)
        await produce(kafka, topic, [second, first], partition=1)
        await caught_up(pool)
    assert await written_lines(pool) == [("order-1", 1), ("order-1", 2)]


async def test_caught_up_at_advances_under_a_steady_stream(pool: Pool, kafka: str, topic: str) -> None:
    """Lag is never 0 here: the handler takes longer for a batch than the next record needs to arrive."""

    async def write_slowly(connection: Connection, events: Sequence[Incoming[OrderShipped]]) -> None:
        await time_passes(0.3, "a batch takes longer than the next record needs to arrive")
        await write_lines(connection, events)

    async def stream() -> None:
        sequence = 0
        while not seen.is_set():
            sequence += 1
            await produce(kafka, topic, [order_shipped_record("order-1", sequence)])

    async def is_caught_up_though_more_waits() -> bool:
        query = "SELECT count(*) FROM consumer_positions WHERE caught_up_at >= $1 AND lag > 0"
        return bool(await pool.fetchval(query, began) == 1)

    seen = asyncio.Event()
    began = await pool.fetchval("SELECT now()")
    handlers = {"order.shipped": EventHandler(OrderShipped, write_slowly)}
    streaming = asyncio.create_task(stream())
    async with running_subscriber(pool, kafka, [topic], handlers):
        try:
            await eventually(is_caught_up_though_more_waits)
        finally:
            seen.set()
            await streaming


async def test_events_of_other_types_are_skipped_in_any_version(pool: Pool, kafka: str, topic: str) -> None:
    other = order_shipped_record("order-1", event_type="order.paid")
    await produce(
        kafka, topic,
        [other, other.with_header("ce_type", b"com.articurated.order.paid.v2"),
         other.with_header("ce_type", b"org.example.weather"), order_shipped_record("order-1")],
    )  # fmt: skip
    async with running_subscriber(pool, kafka, [topic]):
        await caught_up(pool)
    assert await written_lines(pool) == [("order-1", 1)]
    assert await pool.fetchval("SELECT count(*) FROM poison") == 0


async def test_every_kind_of_poison_record_is_stored_byte_for_byte_and_delays_no_other(
    pool: Pool, kafka: str, topic: str
) -> None:
    records = [
        each
        for number, bad in enumerate(POISON_RECORDS.values(), 1)
        for each in (bad, order_shipped_record("fine", number))
    ]
    offsets = await produce(kafka, topic, records)
    async with running_subscriber(pool, kafka, [topic]):
        await caught_up(pool)

    assert await written_lines(pool) == [("fine", number) for number, _ in enumerate(POISON_RECORDS, 1)]
    kept = await pool.fetch('SELECT "offset", id FROM poison ORDER BY "offset"')
    assert [row["offset"] for row in kept] == offsets[::2]
    async with transaction(pool) as connection:
        for row, (name, record) in zip(kept, POISON_RECORDS.items(), strict=True):
            found = await poison.find(connection, row["id"])
            assert found is not None
            assert (found.key, found.value, found.headers) == (record.key, record.value, list(record.headers)), name


@pytest.mark.parametrize(
    ("failpoint", "lines_left_behind"), [("consumer.before_tx", 0), ("consumer.after_tx_before_offset", 100)]
)
async def test_a_killed_consumer_loses_and_repeats_no_effect(
    database: Database, pool: Pool, kafka: str, topic: str, failpoint: str, lines_left_behind: int
) -> None:
    await produce(kafka, topic, [order_shipped_record(order, sequence) for sequence in range(1, 6) for order in ORDERS])
    with role_process("consumer", database, kafka, topic, failpoint=f"{failpoint}:kill") as killed:
        assert await killed.exit_status() == -signal.SIGKILL
    assert len(await written_lines(pool)) == lines_left_behind

    async with running_subscriber(pool, kafka, [topic]):
        await eventually(lambda: has_lines(pool, 100))
        await caught_up(pool)
    assert len(set(await written_lines(pool))) == 100


async def test_the_lag_of_each_partition_is_shown(pool: Pool, kafka: str, topic: str) -> None:
    await produce(kafka, topic, [order_shipped_record("order-1"), order_shipped_record("order-2")], partition=2)
    async with running_subscriber(pool, kafka, [topic]):
        await caught_up(pool)
        assert lag_of(topic, 2) == 0
    assert lag_of(topic, 2) is None
    rows = await pool.fetch("SELECT partition, position, lag FROM consumer_positions ORDER BY partition")
    assert [tuple(row.values()) for row in rows] == [(0, 0, 0), (1, 0, 0), (2, 2, 0)]


async def test_events_that_kafka_deleted_unread_raise_an_alarm(pool: Pool, kafka: str, topic: str) -> None:
    async with running_subscriber(pool, kafka, [topic]):
        await produce(kafka, topic, [order_shipped_record("order-1", 1)])
        await caught_up(pool)
    await produce(kafka, topic, [order_shipped_record("order-1", sequence) for sequence in range(2, 6)])
    await delete_before(kafka, topic, offset=3)

    with capture_logs() as logs:
        async with running_subscriber(pool, kafka, [topic]):
            await caught_up(pool)
    assert [(log["log_level"], log["lost"]) for log in logs if log.get("alert") == "events_lost"] == [("critical", 2)]
    assert await written_lines(pool) == [("order-1", 1), ("order-1", 4), ("order-1", 5)]


async def delete_before(kafka: str, topic: str, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()
