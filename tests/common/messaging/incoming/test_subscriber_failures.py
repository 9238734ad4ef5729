"""A consumer while its database, its broker or its client library fails: it waits, ends its process, or says why."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchError
from aiokafka.errors import TopicAuthorizationFailedError
from common.database.statements import Connection
from common.database.transactions import Pool
from common.messaging.incoming.record_source import RecordSource
from common.messaging.incoming.records import EventHandler, Incoming
from common.messaging.incoming.subscriber import Subscriber
from common.messaging.incoming.watchdog import StuckConsumer
from common.telemetry.logs import configure_logging
from structlog.testing import capture_logs
from support.kafka.broken_clients import end_metadata_task
from support.kafka.raw_records import order_shipped_record, produce
from support.kafka.subscribers import (
    GROUP,
    OrderShipped,
    caught_up,
    create_lines,
    has_lines,
    is_connected,
    lag_of,
    running_subscriber,
)
from support.logs import logging_restored
from support.postgres.databases import Databases, MakePool
from support.processes.servers import new_postgres
from support.waiting import eventually, stays_true, time_passes


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
            await eventually(lambda: is_connected(subscriber))


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
