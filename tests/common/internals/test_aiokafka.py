"""The undocumented parts of aiokafka still behave as `common.internals.aiokafka` expects."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiokafka.client
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from common.internals import aiokafka as internals
from common.internals.aiokafka import BatchwiseRecords
from common.messaging.incoming.batches import FetchedBatches, FetchedRecords, UndecodableBatch
from support.kafka.broken_clients import end_metadata_task
from support.kafka.raw_records import order_shipped_record, produce
from support.kafka.topics import MakeTopic
from support.waiting import eventually


@asynccontextmanager
async def a_producer(kafka: str, **options: object) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, **options)
    await producer.start()
    try:
        yield producer
    finally:
        await asyncio.wait_for(producer.stop(), 10)  # returns immediately if the test has marked it as closed
        await producer.client.close()


@asynccontextmanager
async def a_consumer(kafka: str, topic: str, **options: object) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka,
        group_id="canary",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **options,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await asyncio.wait_for(consumer.stop(), 10)


@pytest_asyncio.fixture
async def topic(make_topic: MakeTopic) -> str:
    return await make_topic(partitions=1)


async def test_a_client_updates_its_metadata_in_a_task_and_closes_without_it_when_it_is_removed(kafka: str) -> None:
    async with a_producer(kafka) as producer:
        assert not internals.has_lost_metadata_task(producer.client)
        internals.forget_lost_metadata_task(producer.client)  # changes nothing while the task runs
        assert not internals.has_lost_metadata_task(producer.client)
        await end_metadata_task(producer.client)
        assert internals.has_lost_metadata_task(producer.client)
        internals.forget_lost_metadata_task(producer.client)
        assert not internals.has_lost_metadata_task(producer.client)


async def test_every_metadata_update_uses_the_bounded_method(kafka: str) -> None:
    async def hang(*_: object) -> bool:
        await asyncio.Event().wait()
        return True

    async with a_producer(kafka) as producer:
        assert await producer.client.force_metadata_update()
        producer.client._metadata_update = hang
        internals.bound_metadata_updates(producer.client, 0.1)
        assert not await asyncio.wait_for(producer.client.force_metadata_update(), 5)


async def test_connections_to_brokers_are_listed_and_aborted(kafka: str, topic: str) -> None:
    async with a_producer(kafka) as producer:
        metadata = await producer.send_and_wait(topic, b"opens a connection")
        leader = producer.client.cluster.leader_for_partition(metadata.topic_partition)
        assert internals.is_connected(producer.client, leader)
        assert not internals.is_connected(producer.client, leader + 1)
        assert not internals.is_connected(producer.client, None)
        (connection,) = (each for each in producer.client._conns.values() if each.connected())
        internals.abort_connections(producer.client)
        assert connection._writer.transport.is_closing()


async def test_the_first_connection_of_a_cancelled_start_is_closed(monkeypatch: pytest.MonkeyPatch, kafka: str) -> None:
    connections = []
    create = aiokafka.client.create_conn
    create = getattr(create, "__wrapped__", create)

    async def create_one_that_hangs(*arguments: object, **options: object) -> object:
        connection = await create(*arguments, **options)

        async def hang(*_: object, **__: object) -> None:
            await asyncio.Event().wait()

        connection.send = hang
        connections.append(connection)
        return connection

    monkeypatch.setattr(aiokafka.client, "create_conn", create_one_that_hangs)
    internals.close_cancelled_bootstraps()
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(producer.start(), 1)
    await producer.stop()
    assert [connection.connected() for connection in connections] == [False]


async def test_a_producers_requests_are_tracked_while_they_are_under_way(kafka: str, topic: str) -> None:
    async with a_producer(kafka) as producer:
        requests = internals.track_requests(producer)
        delivery = await producer.send(topic, b"tracked")
        tasks = set[asyncio.Task[object]]()
        while not delivery.done():
            tasks |= requests
            await asyncio.sleep(0)
        assert len(tasks) == 1
        await eventually(lambda: _is_empty(requests))


async def _is_empty(tasks: set[asyncio.Task[object]]) -> bool:
    return not tasks


async def test_a_producer_sends_by_one_task_until_its_stop(kafka: str, topic: str) -> None:
    async with a_producer(kafka) as producer:
        sender = internals.sender_task(producer)
        assert sender is not None
        await producer.send_and_wait(topic, b"sent")
        assert not sender.done()
        sender.cancel()
        await asyncio.wait({sender})
        delivery = await producer.send(topic, b"not sent")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(delivery), 0.3)
        delivery.cancel()
        internals.mark_closed(producer)


async def test_each_time_a_batch_is_handed_to_a_broker_is_counted_as_an_attempt(kafka: str, topic: str) -> None:
    topic_partition = TopicPartition(topic, 0)
    async with a_producer(kafka) as producer:
        await producer.send_and_wait(topic, b"loads the leader", partition=0)
        sender = internals.sender_task(producer)
        assert sender is not None
        sender.cancel()  # the test sends batches in its place
        await asyncio.wait({sender})
        accumulator = producer._message_accumulator
        delivery = await producer.send(topic, b"retried", partition=0)
        assert internals.send_attempts(producer, topic_partition) == 0
        for attempt in (1, 2):
            batches, _ = accumulator.drain_by_nodes([])
            (batch,) = (batch for of_node in batches.values() for batch in of_node.values())
            assert internals.send_attempts(producer, topic_partition) == attempt
            accumulator.reenqueue(batch)
            assert internals.send_attempts(producer, topic_partition) == attempt
        delivery.cancel()
        internals.mark_closed(producer)


async def lose_metadata(consumer: AIOKafkaConsumer) -> None:
    await end_metadata_task(internals.client_of(consumer))


async def lose_coordination(consumer: AIOKafkaConsumer) -> None:
    consumer._coordinator._coordination_task.cancel()
    await asyncio.sleep(0)


async def lose_fetching(consumer: AIOKafkaConsumer) -> None:
    consumer._fetcher._fetch_task.cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize("lose", [lose_metadata, lose_coordination, lose_fetching])
async def test_the_end_of_each_background_task_of_a_consumer_is_detected(
    kafka: str, topic: str, lose: Callable[[AIOKafkaConsumer], Awaitable[None]]
) -> None:
    async with a_consumer(kafka, topic) as consumer:
        assert not internals.has_lost_task(consumer)
        await lose(consumer)
        assert internals.has_lost_task(consumer)
        internals.forget_lost_metadata_task(internals.client_of(consumer))


async def test_the_position_of_a_consumer_is_the_offset_that_it_reads_next(kafka: str, topic: str) -> None:
    await produce(kafka, topic, [order_shipped_record("order-1", 1), order_shipped_record("order-1", 2)])
    topic_partition = TopicPartition(topic, 0)
    async with a_consumer(kafka, topic) as consumer:
        records = await consumer.getmany(timeout_ms=10_000, max_records=1)
        assert [record.offset for record in records[topic_partition]] == [0]
        assert (
            internals.fetch_positions(consumer)
            == {topic_partition: 1}
            == {topic_partition: await consumer.position(topic_partition)}
        )
        consumer.unsubscribe()
        assert internals.fetch_positions(consumer) == {}


async def test_the_end_of_the_log_includes_an_open_transaction(kafka: str, topic: str) -> None:
    topic_partition = TopicPartition(topic, 0)
    options = {"transactional_id": "canary", "transaction_timeout_ms": 10_000}
    async with (
        a_producer(kafka, **options) as producer,
        a_consumer(kafka, topic, isolation_level="read_committed") as consumer,
    ):
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"in a transaction", partition=0)
        assert await consumer.end_offsets([topic_partition]) == {topic_partition: 0}
        assert await internals.end_of_log(consumer, [topic_partition]) == {topic_partition: 1}
        assert await consumer.end_offsets([topic_partition]) == {topic_partition: 0}
        await producer.abort_transaction()


def a_batch(*offsets: int) -> bytes:
    """A batch in Kafka's storage format, with one record per offset."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=False, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=10_000,
    )  # fmt: skip
    for number, _ in enumerate(offsets):
        builder.append(number, timestamp=1, key=b"key", value=b"value", headers=[])
    return struct.pack(">q", offsets[0]) + bytes(builder.build())[8:]


def test_the_fetcher_skips_a_batch_that_cannot_be_decoded() -> None:
    damaged_batch = bytearray(a_batch(2, 3))
    damaged_batch[-1] ^= 0xFF
    data = a_batch(0, 1) + bytes(damaged_batch) + a_batch(4)
    records = FetchedRecords(TopicPartition("t", 0), FetchedBatches(data), [], 0, None, None, True, 0)
    assert isinstance(records, BatchwiseRecords)
    assert [(record.offset, type(record) is UndecodableBatch) for record in records] == [
        (0, False), (1, False), (2, True), (4, False),
    ]  # fmt: skip
    assert records.next_fetch_offset == 5


def test_a_batch_is_decoded_separately() -> None:
    records = internals.decode_batch(a_batch(7, 8), TopicPartition("t", 1), 7)
    assert [(each.topic, each.partition, each.offset, each.key, each.value) for each in records] == [
        ("t", 1, 7, b"key", b"value"), ("t", 1, 8, b"key", b"value"),
    ]  # fmt: skip
