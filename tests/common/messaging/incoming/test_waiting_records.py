"""A row that is locked elsewhere delays the records that need it, and no others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio
from common.database.statements import Connection
from common.database.transactions import Pool, open_pool
from common.messaging.incoming.inbox import Inbox, RecordsLocked
from common.messaging.incoming.poison import PoisonRecord
from common.messaging.incoming.records import EventHandler, Handlers, Incoming
from common.messaging.incoming.waiting_records import MAX_BYTES, WaitingRecords
from prometheus_client import REGISTRY
from support.kafka.raw_records import order_shipped_record, produce
from support.kafka.subscribers import GROUP, OrderShipped, running_subscriber, write_lines, written_lines
from support.kafka.topics import MakeTopic
from support.postgres.databases import Database
from support.waiting import eventually, time_passes

ORDERS = ("locked", "order-1", "order-2", "order-3")


async def lock_and_write(connection: Connection, events: Sequence[Incoming[OrderShipped]]) -> None:
    """As services do it: the order's row first."""
    for name in sorted({incoming.data.order for incoming in events}):
        await connection.execute("SELECT 1 FROM orders WHERE name = $1 FOR UPDATE", name)
    await write_lines(connection, events)


HANDLERS: Handlers = {"order.shipped": EventHandler(OrderShipped, lock_and_write)}


@pytest_asyncio.fixture
async def pool(database: Database, pool: Pool) -> Pool:
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("CREATE TABLE orders (name text PRIMARY KEY)")
    await owner.execute("GRANT ALL ON orders TO PUBLIC")
    await owner.executemany("INSERT INTO orders VALUES ($1)", [(name,) for name in ORDERS])
    await owner.close()
    return pool


@asynccontextmanager
async def locked(
    database: Database, lock: str = "SELECT 1 FROM orders WHERE name = 'locked' FOR UPDATE"
) -> AsyncIterator[None]:
    """Somebody has begun a transaction on the order, or on more, and does not end it."""
    connection = await asyncpg.connect(database.owner_dsn)
    try:
        async with connection.transaction():
            await connection.execute(lock)
            yield
    finally:
        await connection.close()


async def test_the_other_records_of_a_batch_are_processed_and_the_locked_ones_reported(
    database: Database, pool: Pool
) -> None:
    inbox = Inbox(pool, GROUP, HANDLERS)
    sent = [
        order_shipped_record("locked", 1),
        order_shipped_record("order-1", 1),
        order_shipped_record("locked", 2),
        order_shipped_record("order-2", 1),
    ]
    records = [PoisonRecord("t", 0, at, each.key, each.value, each.headers, 0, "kept") for at, each in enumerate(sent)]
    async with locked(database):
        with pytest.raises(RecordsLocked) as waiting:
            await inbox.process(records)
        assert await written_lines(pool) == [("order-1", 1), ("order-2", 1)]
    assert waiting.value.records == [records[0], records[2]]
    await inbox.process(waiting.value.records)
    assert await written_lines(pool) == [("order-1", 1), ("order-2", 1), ("locked", 1), ("locked", 2)]
    assert await pool.fetchval("SELECT count(*) FROM poison") == 0


async def test_other_orders_are_processed_while_one_is_locked(
    database: Database, pool: Pool, kafka: str, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=1)

    async def has(count: int) -> bool:
        return len(await written_lines(pool)) == count

    async with running_subscriber(pool, kafka, [topic], HANDLERS) as consumer:
        async with locked(database):
            await produce(kafka, topic, [order_shipped_record("locked", 1), order_shipped_record("order-1", 1)])
            await eventually(lambda: has(1))
            began = asyncio.get_running_loop().time()
            for sequence in range(2, 6):
                await produce(
                    kafka, topic, [order_shipped_record("locked", sequence), order_shipped_record("order-1", sequence)]
                )
            await eventually(lambda: has(5), within=4)
            # Longer than the consumer's patience with a member that gets nowhere would be here.
            assert asyncio.get_running_loop().time() - began < 4
            assert {name for name, _ in await written_lines(pool)} == {"order-1"}
            assert REGISTRY.get_sample_value("consumer_waiting_records") == 5
            assert consumer.component.not_ready() is None
            assert await pool.fetchval("SELECT position FROM consumer_positions") == 0
        await eventually(lambda: has(10))
        assert [line for line in await written_lines(pool) if line[0] == "locked"] == [
            ("locked", sequence) for sequence in range(1, 6)
        ]
        await eventually(lambda: is_read_to(pool, 10))
    assert await pool.fetchval("SELECT count(*) FROM poison") == 0


async def is_read_to(pool: Pool, position: int) -> bool:
    return bool(await pool.fetchval("SELECT position = $1 AND lag = 0 FROM consumer_positions", position))


async def test_waiting_records_are_limited_in_bytes(database: Database, pool: Pool) -> None:
    waiting = WaitingRecords(Inbox(pool, GROUP, HANDLERS))
    large = replace(order_shipped_record("locked"), value=b'{"order": "locked", "sequence": 1}'.ljust(MAX_BYTES // 2))
    records = [PoisonRecord("t", 0, at, large.key, large.value, large.headers, 0, "kept") for at in range(2)]
    waiting.add(records[:1])
    assert not waiting.is_full
    waiting.add(records[1:])
    assert waiting.is_full
    async with locked(database):
        assert not await waiting.retry()
        assert waiting.is_full
    assert await waiting.retry()
    assert not waiting.is_full
    waiting.add(records)
    waiting.enter(1)
    assert not waiting.is_full


async def test_the_wait_of_a_record_is_measured_from_when_it_became_the_first_of_its_key(
    database: Database, pool: Pool
) -> None:
    def age() -> float:
        value = REGISTRY.get_sample_value("consumer_waiting_age_seconds")
        assert value is not None
        return value

    waiting = WaitingRecords(Inbox(pool, GROUP, HANDLERS))
    record = order_shipped_record("locked", 1)
    waiting.add([PoisonRecord("t", 0, 1, record.key, record.value, record.headers, 0, "kept")])
    assert age() < 1
    async with locked(database):

        async def has_waited() -> bool:
            await waiting.retry()
            return age() > 0.2

        await eventually(has_waited)
    assert await waiting.retry()
    assert age() == 0


async def test_a_consumer_that_ends_loses_no_waiting_record(
    database: Database, pool: Pool, kafka: str, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=1)

    async def has(count: int) -> bool:
        return len(await written_lines(pool)) == count

    async with locked(database), running_subscriber(pool, kafka, [topic], HANDLERS):
        records = [
            order_shipped_record(name, sequence) for sequence in (1, 2) for name in ("order-1", "locked", "order-2")
        ]
        await produce(kafka, topic, records)
        await eventually(lambda: has(4))
    async with running_subscriber(pool, kafka, [topic], HANDLERS):
        await eventually(lambda: has(6))
        await eventually(lambda: is_read_to(pool, 6))
    lines = await written_lines(pool)
    assert len(set(lines)) == 6
    assert [line for line in lines if line[0] == "locked"] == [("locked", 1), ("locked", 2)]


async def test_many_records_that_wait_for_one_lock_do_not_end_the_consumer(
    database: Database, pool: Pool, kafka: str, make_topic: MakeTopic
) -> None:
    topic = await make_topic(partitions=1)
    names = [f"order-{number}" for number in range(24)]
    # The whole batch waits for a second, and then each record for a quarter of it: together longer than a consumer may
    # be without progress, and each by itself much shorter.
    async with (
        await open_pool(database.dsn, application_name="waiting", server_settings={"lock_timeout": "1s"}) as waiting,
        running_subscriber(waiting, kafka, [topic], HANDLERS, stuck_after_seconds=5),
    ):
        async with locked(database, lock="LOCK TABLE lines IN EXCLUSIVE MODE"):
            await produce(kafka, topic, [order_shipped_record(name) for name in names])
            await eventually(lambda: all_wait(len(names)), within=90)
            await time_passes(7, "a consumer without progress ends after 5 seconds, and would read nothing after that")
        await eventually(lambda: is_read_to(pool, len(names)))
    assert sorted(await written_lines(pool)) == sorted((name, 1) for name in names)


async def all_wait(count: int) -> bool:
    return REGISTRY.get_sample_value("consumer_waiting_records") == count
