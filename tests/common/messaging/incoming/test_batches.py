"""Batches are read with every compression codec; one that cannot be decoded is stored and stepped over."""

import asyncio
import os
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, codec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from common.database.transactions import Pool, transaction
from common.errors import Problem
from common.messaging.incoming import poison
from common.messaging.incoming.batches import UndecodableBatch
from common.messaging.incoming.poison import replay
from common.messaging.incoming.subscriber import Subscriber
from common.messaging.incoming.watchdog import StuckConsumer
from local_stack.kafka import Kafka
from structlog.testing import capture_logs
from support.kafka.damaged_batches import DAMAGES, Damage, batch_at, damage_batch, garble_the_second_record
from support.kafka.raw_records import order_shipped_record, produce
from support.kafka.subscribers import GROUP, HANDLERS, running_subscriber, written_lines
from support.kafka.topics import MakeTopic
from support.waiting import eventually

CODECS = ["gzip", "snappy", "lz4", "zstd"]
on_disk = pytest.mark.skipif(os.environ.get("STACK") == "docker", reason="changes the broker's files")


@pytest_asyncio.fixture
async def topic(make_topic: MakeTopic) -> str:
    return await make_topic(partitions=2)


@pytest.fixture
def data(kafka_server: Kafka) -> Path:
    return kafka_server._data


async def all_lines(pool: Pool, count: int) -> list[tuple[str, int]]:
    async def found() -> bool:
        return len(await written_lines(pool)) >= count

    await eventually(found)
    return await written_lines(pool)


@pytest.mark.parametrize("name", CODECS)
async def test_records_that_the_broker_compresses_are_read(pool: Pool, kafka: str, topic: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"compression.type": name})])
    finally:
        await admin.close()
    await produce(kafka, topic, [order_shipped_record("order-1", sequence) for sequence in range(1, 21)])
    async with running_subscriber(pool, kafka, [topic]):
        assert await all_lines(pool, 20) == [("order-1", sequence) for sequence in range(1, 21)]


@pytest.mark.parametrize("name", CODECS)
async def test_records_that_the_producer_compresses_are_read(pool: Pool, kafka: str, topic: str, name: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, compression_type=name, linger_ms=20)
    await producer.start()
    try:
        records = [order_shipped_record("order-1", sequence) for sequence in range(1, 21)]
        sent = [await producer.send(topic, each.value, each.key, 0, headers=list(each.headers)) for each in records]
        for each in sent:
            await each
    finally:
        await producer.stop()
    async with running_subscriber(pool, kafka, [topic]):
        assert await all_lines(pool, 20) == [("order-1", sequence) for sequence in range(1, 21)]


async def test_a_consumer_without_a_codec_does_not_start(
    pool: Pool, kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "has_lz4", lambda: False)
    consumer = Subscriber(pool, kafka, group=GROUP, topics=[topic], handlers=HANDLERS)
    with pytest.raises(StuckConsumer, match="lz4"):
        await consumer.run(asyncio.Event())


@on_disk
@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("is_last", [False, True], ids=["amid others", "last"])
async def test_a_batch_that_cannot_be_decoded_is_stored_whole_and_skipped(
    pool: Pool, kafka: str, topic: str, data: Path, change: Damage, is_last: bool
) -> None:
    await produce(kafka, topic, [order_shipped_record("before", sequence) for sequence in (1, 2)])
    await produce(kafka, topic, [order_shipped_record("damaged", sequence) for sequence in (1, 2, 3)])
    if not is_last:
        await produce(kafka, topic, [order_shipped_record("behind", sequence) for sequence in (1, 2)])
    await produce(
        kafka, topic, [order_shipped_record("other partition", sequence) for sequence in range(1, 6)], partition=1
    )
    damage_batch(data, topic, 0, 2, change)

    with capture_logs() as logs:
        async with running_subscriber(pool, kafka, [topic]) as consumer:
            lines = await all_lines(pool, 7 if is_last else 9)
            await eventually(lambda: kept_batches(pool))
            await produce(kafka, topic, [order_shipped_record("later")])
            lines = await all_lines(pool, 8 if is_last else 10)
            await eventually(lambda: lag_is_none(pool))
            assert consumer.component.not_ready() is None

    assert [name for name, _ in lines].count("damaged") == 0
    assert {name for name, _ in lines} == {"before", "other partition", "later"} | (set() if is_last else {"behind"})
    assert len(set(lines)) == len(lines)
    (kept,) = await kept_batches(pool)
    assert (kept["kind"], kept["topic"], kept["partition"], kept["offset"]) == ("batch", topic, 0, 2)
    assert (kept["last_offset"], kept["value"]) == (4, batch_at(data, topic, 0, 2))
    assert [log["offset"] for log in logs if log.get("alert") == "batch_undecodable"] == [2]
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE type = 'record.dead_lettered'") == 1


async def kept_batches(pool: Pool) -> list[dict[str, object]]:
    return [dict(row) for row in await pool.fetch('SELECT * FROM poison ORDER BY partition, "offset"')]


async def lag_is_none(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT sum(lag) = 0 AND count(*) = 2 FROM consumer_positions"))


@on_disk
async def test_records_before_the_damage_in_their_batch_are_processed(
    pool: Pool, kafka: str, topic: str, data: Path
) -> None:
    await produce(kafka, topic, [order_shipped_record("order-1", sequence) for sequence in (1, 2, 3)])
    await produce(kafka, topic, [order_shipped_record("order-1", 4)])
    damage_batch(data, topic, 0, 0, garble_the_second_record)
    async with running_subscriber(pool, kafka, [topic]):
        assert await all_lines(pool, 2) == [("order-1", 1), ("order-1", 4)]
    (kept,) = await kept_batches(pool)
    assert (kept["offset"], kept["last_offset"]) == (1, 2)


@on_disk
async def test_a_stored_batch_that_can_be_decoded_now_is_replayed_whole(
    pool: Pool, kafka: str, topic: str, data: Path
) -> None:
    await produce(kafka, topic, [order_shipped_record("order-1", sequence) for sequence in (1, 2)])
    sound = batch_at(data, topic, 0, 0)
    damaged = bytearray(sound)
    DAMAGES["wrong checksum"](damaged)
    async with transaction(pool) as connection:
        for value in (sound, bytes(damaged)):
            await poison.store(connection, GROUP, UndecodableBatch(topic, 0, 0, 1, 0, value, "no codec"), "no codec")
    ids = {row["value"]: row["id"] for row in await pool.fetch("SELECT id, value FROM poison")}

    async with transaction(pool) as connection:
        await replay(connection, GROUP, HANDLERS, ids[sound])
    assert await written_lines(pool) == [("order-1", 1), ("order-1", 2)]
    with pytest.raises(Problem, match="still unreadable"):
        async with transaction(pool) as connection:
            await replay(connection, GROUP, HANDLERS, ids[bytes(damaged)])
