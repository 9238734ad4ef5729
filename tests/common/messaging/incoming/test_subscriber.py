"""The subscriber writes to the database what is in Kafka, whatever the records are and whichever server fails."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.consumer.fetcher import FetchError
from aiokafka.errors import TopicAuthorizationFailedError
from common.database.statements import Connection
from common.database.transactions import Pool, transaction
from common.messaging.incoming import poison
from common.messaging.incoming.record_source import RecordSource
from common.messaging.incoming.records import EventHandler, Incoming
from common.messaging.incoming.subscriber import Subscriber
from common.messaging.incoming.watchdog import StuckConsumer
from common.telemetry.logs import configure_logging
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from support.kafka.broken_clients import end_metadata_task
from support.kafka.poison_records import POISON_RECORDS
from support.kafka.raw_records import order_shipped_record, produce
from support.kafka.relays import running_relay, write_events
from support.kafka.subscribers import GROUP, OrderShipped, create_lines, running_subscriber, write_lines, written_lines
from support.kafka.topics import MakeTopic
from support.logs import logging_restored
from support.postgres.databases import Database, Databases, MakePool
from support.processes.relay_and_consumer import role_process
from support.processes.servers import new_postgres
from support.waiting import eventually, stays_true, time_passes

ORDERS = [f"order-{number}" for number in range(20)]


@pytest_asyncio.fixture
async def topic(make_topic: MakeTopic) -> str:
    return await make_topic(partitions=3)


@pytest_asyncio.fixture
async def pool(database: Database, pool: Pool) -> Pool:
    await create_lines(database)
    return pool


async def caught_up(pool: Pool, partitions: int = 3) -> None:
    """Wait until the consumer has reported that all that is in the topic now has been taken in."""
    now = await pool.fetchval("SELECT now()")

    async def is_caught_up() -> bool:
        query = "SELECT count(*) FROM consumer_positions WHERE caught_up_at >= $1"
        return bool(await pool.fetchval(query, now) == partitions)

    await eventually(is_caught_up)


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


async def has_lines(pool: Pool, count: int) -> bool:
    return len(await written_lines(pool)) == count


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


async def test_a_batch_waits_while_the_database_is_unavailable(
    session_folder: Path, make_pool: MakePool, kafka: str, topic: str
) -> None:
    with new_postgres(session_folder / "leaving") as leaving:
        database = Databases(leaving).create()
        await create_lines(database)
        pool = await make_pool(database)
        async with running_subscriber(pool, kafka, [topic]) as subscriber:
            await produce(kafka, topic, [order_shipped_record("order-1", 1)])
            await eventually(lambda: has_lines(pool, 1))
            leaving.kill()
            await produce(kafka, topic, [order_shipped_record("order-1", 2)])
            await asyncio.to_thread(leaving.start)
            await eventually(lambda: has_lines(pool, 2))
            assert subscriber.connected


async def test_a_consumer_stops_in_time_while_the_database_is_unavailable(
    session_folder: Path, make_pool: MakePool, kafka: str, topic: str
) -> None:
    with new_postgres(session_folder / "gone") as gone:
        database = Databases(gone).create()
        pool = await make_pool(database)
        async with asyncio.timeout(20):
            async with running_subscriber(pool, kafka, [topic]) as subscriber:
                await eventually(lambda: is_connected(subscriber))
                gone.kill()
                await produce(kafka, topic, [order_shipped_record("order-1", 1)])
                await eventually(lambda: lags(topic))


async def is_connected(subscriber: Subscriber) -> bool:
    return subscriber.connected


async def lags(topic: str) -> bool:
    return bool(lag_of(topic, 0))


async def test_a_consumer_without_progress_ends_its_process(pool: Pool, kafka: str, topic: str) -> None:
    async def hang(_connection: Connection, _events: Sequence[Incoming[OrderShipped]]) -> None:
        await asyncio.Event().wait()

    stuck = Subscriber(
        pool, kafka, group=GROUP, topics=[topic], stuck_after_seconds=1,
        handlers={"order.shipped": EventHandler(OrderShipped, hang)},
    )  # fmt: skip
    await produce(kafka, topic, [order_shipped_record("order-1")])
    with pytest.raises(StuckConsumer):
        await asyncio.wait_for(stuck.run(asyncio.Event()), 20)


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[RecordSource]:
    """The memberships that subscribers have begun, the last one at the end."""
    begun: list[RecordSource] = []
    start = RecordSource.start

    async def start_seen(source: RecordSource) -> None:
        begun.append(source)
        await start(source)

    monkeypatch.setattr(RecordSource, "start", start_seen)
    return begun


async def cancel_coordination(consumer: Any) -> None:
    consumer._coordinator._coordination_task.cancel()


async def cancel_fetching(consumer: Any) -> None:
    consumer._fetcher._fetch_task.cancel()


@pytest.mark.parametrize(
    "lose_task",
    [lambda consumer: end_metadata_task(consumer._client), cancel_coordination, cancel_fetching],
    ids=["metadata", "coordination", "fetching"],
)
async def test_a_consumer_whose_client_lost_a_task_ends_its_process(
    pool: Pool, kafka: str, topic: str, sources: list[RecordSource], lose_task: Callable[[Any], Awaitable[None]]
) -> None:
    subscriber = Subscriber(pool, kafka, group=GROUP, topics=[topic], handlers={})
    running = asyncio.create_task(subscriber.run(asyncio.Event()))

    async def connected() -> bool:
        return subscriber.connected

    await eventually(connected)
    await lose_task(sources[-1].consumer)
    with pytest.raises(StuckConsumer, match="tasks have ended"):
        await asyncio.wait_for(running, 20)


async def test_a_consumer_waits_for_its_broker_and_logs_it(pool: Pool) -> None:
    async with running_subscriber(pool, "127.0.0.1:1", ["some-topic"]) as subscriber:
        await stays_true(
            lambda: subscriber.component.not_ready() == "kafka: not connected",
            seconds=0.3,
            why="the consumer would have ended, or said that it is ready",
        )


async def test_an_error_of_the_client_library_is_logged_and_the_role_is_not_ready(
    pool: Pool, kafka: str, topic: str, sources: list[RecordSource]
) -> None:
    async with running_subscriber(pool, kafka, [topic]) as subscriber:
        await caught_up(pool)
        assert subscriber.component.not_ready() is None
        with capture_logs() as logs:
            partition = TopicPartition(topic, 0)
            sources[-1].consumer._fetcher._records[partition] = FetchError(
                error=TopicAuthorizationFailedError(topic), backoff=0
            )

            async def is_logged() -> str | None:
                return subscriber.component.not_ready()

            assert "TopicAuthorizationFailedError" in str(await eventually(is_logged))
        assert [log["log_level"] for log in logs if log["event"] == "the Kafka client failed"] == ["error"]
        await produce(kafka, topic, [order_shipped_record("order-1")])
        await eventually(lambda: has_lines(pool, 1))


async def test_a_missing_topic_and_an_unavailable_broker_are_logged_in_a_few_lines(
    pool: Pool, kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_restored():
        configure_logging("orders", "consumer", style="json")
        async with (
            running_subscriber(pool, kafka, ["no-such-topic", "nor-this-one"]),
            running_subscriber(pool, "127.0.0.1:1", ["some-topic"]),
        ):
            await time_passes(6, "without a limit, hundreds of lines would be written in it")
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 40


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


def lag_of(topic: str, partition: int) -> float | None:
    return REGISTRY.get_sample_value("consumer_lag", {"topic": topic, "partition": str(partition)})
