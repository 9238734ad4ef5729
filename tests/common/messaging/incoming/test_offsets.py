"""The consumer's position, whatever the offsets hold: records, markers, nothing, or another topic's records."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from common.database.transactions import Pool
from common.messaging.incoming.subscriber import Subscriber
from common.messaging.kafka.topics import create_topics
from structlog.testing import capture_logs
from support.kafka.raw_records import order_shipped_record, produce
from support.kafka.subscribers import GROUP, HANDLERS, running_subscriber, written_lines
from support.kafka.topics import MakeTopic
from support.waiting import eventually


@pytest_asyncio.fixture
async def topic(make_topic: MakeTopic) -> str:
    return await make_topic(partitions=1)


@asynccontextmanager
async def transactional(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="change-data-capture")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send(producer: AIOKafkaProducer, topic: str, order: str, sequence: int = 1) -> None:
    record = order_shipped_record(order, sequence)
    await producer.send_and_wait(topic, record.value, record.key, 0, headers=list(record.headers))


async def caught_up(pool: Pool) -> None:
    now = await pool.fetchval("SELECT clock_timestamp()")

    async def is_caught_up() -> bool:
        return bool(await pool.fetchval("SELECT lag = 0 AND caught_up_at >= $1 FROM consumer_positions", now))

    await eventually(is_caught_up)


@asynccontextmanager
async def impatient(pool: Pool, kafka: str, topic: str) -> AsyncIterator[Subscriber]:
    """A consumer that ends after two seconds without progress."""
    consumer = Subscriber(
        pool, kafka, group=GROUP, topics=[topic], handlers=HANDLERS, session_seconds=3, stuck_after_seconds=2,
        settle_seconds=0,
    )  # fmt: skip
    stopping = asyncio.Event()
    running = asyncio.create_task(consumer.run(stopping))
    try:
        yield consumer
        assert not running.done()
    finally:
        stopping.set()
        await asyncio.wait_for(running, 15)


async def test_the_marker_of_a_committed_transaction_is_no_lag(pool: Pool, kafka: str, topic: str) -> None:
    async with transactional(kafka) as producer, producer.transaction():
        await send(producer, topic, "order-1")
    async with impatient(pool, kafka, topic):
        await caught_up(pool)
    assert await written_lines(pool) == [("order-1", 1)]
    assert await pool.fetchval("SELECT position FROM consumer_positions") == 2


async def test_an_aborted_transaction_has_no_effect_and_is_no_lag(pool: Pool, kafka: str, topic: str) -> None:
    async with impatient(pool, kafka, topic):
        async with transactional(kafka) as producer:
            await producer.begin_transaction()
            await send(producer, topic, "aborted")
            await producer.abort_transaction()
        await caught_up(pool)
        await produce(kafka, topic, [order_shipped_record("order-1")])
        await caught_up(pool)
    assert await written_lines(pool) == [("order-1", 1)]


async def test_an_open_transaction_is_logged_and_does_not_end_the_consumer(pool: Pool, kafka: str, topic: str) -> None:
    async def is_logged() -> bool:
        return any(log.get("alert") == "open_transaction" for log in logs)

    with capture_logs() as logs:
        async with impatient(pool, kafka, topic), transactional(kafka) as producer:
            await caught_up(pool)
            await producer.begin_transaction()
            await send(producer, topic, "order-1")
            await produce(kafka, topic, [order_shipped_record("held back")])
            before = await pool.fetchval("SELECT clock_timestamp()")
            await eventually(is_logged)
            await eventually(lambda: lags_by_two(pool))  # reported a moment after the log
            assert await pool.fetchval("SELECT caught_up_at <= $1 FROM consumer_positions", before)
            assert await written_lines(pool) == []
            await producer.commit_transaction()
            await caught_up(pool)
    assert await written_lines(pool) == [("order-1", 1), ("held back", 1)]


async def lags_by_two(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT lag = 2 FROM consumer_positions"))


async def test_a_committed_offset_beyond_the_end_is_ignored(pool: Pool, kafka: str, topic: str) -> None:
    """The topic was made anew, or is another cluster's."""
    await produce(kafka, topic, [order_shipped_record("order-1", 1), order_shipped_record("order-1", 2)])
    await commit(kafka, topic, 100)
    async with impatient(pool, kafka, topic):
        await caught_up(pool)
    assert await written_lines(pool) == [("order-1", 1), ("order-1", 2)]
    assert await pool.fetchval("SELECT position FROM consumer_positions") == 2


async def commit(kafka: str, topic: str, offset: int) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.commit({TopicPartition(topic, 0): offset})
    finally:
        await consumer.stop()


async def test_a_topic_recreated_under_a_running_consumer_is_read_from_its_beginning(
    pool: Pool, kafka: str, topic: str
) -> None:
    async with running_subscriber(pool, kafka, [topic]):
        await produce(kafka, topic, [order_shipped_record("old", sequence) for sequence in range(1, 6)])
        await caught_up(pool)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        try:
            await admin.delete_topics([topic])

            async def is_gone() -> bool:
                return topic not in await admin.list_topics()

            await eventually(is_gone)
        finally:
            await admin.close()
        await create_topics(kafka, [topic], partitions=1)
        await produce(kafka, topic, [order_shipped_record("new", 1)])

        async def has_new() -> bool:
            return ("new", 1) in await written_lines(pool)

        await eventually(has_new, within=60)
        await caught_up(pool)
        assert await pool.fetchval("SELECT position FROM consumer_positions") == 1
