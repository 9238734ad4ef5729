"""The relay publishes every committed event, each key in its sequence, when relays die, pause or are slow."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from common.database.transactions import Pool, transaction
from common.messaging.kafka.topics import create_topics
from common.messaging.outgoing import outbox
from common.messaging.outgoing.pending_events import mark_published, park, read_pending
from common.messaging.outgoing.publisher import Publisher
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from support.kafka.broken_clients import end_metadata_task
from support.kafka.relays import (
    EVENT_STATES,
    PARK_EVENT,
    UNPARK_EVENTS,
    order_event,
    running_relay,
    wait_until_published,
    write_events,
)
from support.kafka.topics import MakeTopic, Topics
from support.metrics.moved import moves
from support.postgres.databases import Database
from support.processes.relay_and_consumer import LEASE_SECONDS, role_process
from support.waiting import eventually

ORDERS = [f"order-{number}" for number in range(20)]
ALL_IN_SEQUENCE = {order: [1, 2, 3, 4, 5] for order in ORDERS}


@pytest_asyncio.fixture
async def topic(make_topic: MakeTopic) -> str:
    return await make_topic(partitions=3)


@pytest_asyncio.fixture
async def narrow_topic(kafka: str, topic: str) -> AsyncIterator[str]:
    """A topic that takes batches of at most 20 kB."""
    await set_largest_batch(kafka, topic, 20_000)
    yield topic


async def set_largest_batch(kafka: str, topic: str, size: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(size)})])
    finally:
        await admin.close()


async def lanes_of(pool: Pool) -> dict[str | None, int]:
    rows = await pool.fetch(
        "SELECT CASE WHEN leased_until > now() THEN owner END AS owner, count(*) FROM relay_lanes GROUP BY 1"
    )
    return {row["owner"]: row["count"] for row in rows}


async def states(pool: Pool) -> list[tuple[str, int, str]]:
    return [(row["key"], row["sequence"], row["state"]) for row in await pool.fetch(EVENT_STATES)]


async def test_two_relays_share_the_lanes_and_keep_each_orders_sequence(pool: Pool, kafka: str, topic: str) -> None:
    async with running_relay(pool, kafka, "first"):
        await eventually(lambda: holds(pool, {"first": 32}))
        async with running_relay(pool, kafka, "second"):
            await write_events(pool, topic, ORDERS, range(1, 3))
            await eventually(lambda: holds(pool, {"first": 16, "second": 16}))
            await write_events(pool, topic, ORDERS, range(3, 6))
            await wait_until_published(pool)
        await eventually(lambda: holds(pool, {"first": 32}), within=2)
    assert await holds(pool, {None: 32})
    assert await Topics(kafka).sequences(topic) == (ALL_IN_SEQUENCE, 0)


async def holds(pool: Pool, expected: dict[str | None, int]) -> bool:
    return await lanes_of(pool) == expected


async def test_an_event_that_is_committed_late_is_published(pool: Pool, kafka: str, topic: str) -> None:
    async with running_relay(pool, kafka):
        async with transaction(pool) as late:
            await outbox.append(late, order_event(topic, "late", 1))
            await write_events(pool, topic, ["early"], range(1, 4))
            await eventually(lambda: is_published(pool, "early", 3))
        await wait_until_published(pool)
    assert await Topics(kafka).sequences(topic) == ({"early": [1, 2, 3], "late": [1]}, 0)


async def is_published(pool: Pool, order: str, sequence: int) -> bool:
    return (order, sequence, "published") in await states(pool)


@pytest.mark.parametrize(
    ("failpoint", "repeats"),
    [
        ("relay.after_read", 0),
        ("relay.after_send_before_ack", None),  # nobody knows whether the broker has it: zero or more
        ("relay.after_ack_before_mark", 100),
        ("relay.after_mark", 0),
    ],
)
async def test_a_killed_relay_leaves_no_event_unsent_or_out_of_sequence(
    database: Database, pool: Pool, kafka: str, topic: str, failpoint: str, repeats: int | None
) -> None:
    await write_events(pool, topic, ORDERS, range(1, 6))
    with role_process("relay", database, kafka, topic, failpoint=f"{failpoint}:kill") as killed:
        assert await killed.exit_status() == -signal.SIGKILL

    async with running_relay(pool, kafka):
        await wait_until_published(pool)

    sequences, found_repeats = await Topics(kafka).sequences(topic)
    assert sequences == ALL_IN_SEQUENCE
    assert repeats in (None, found_repeats)


@pytest.mark.parametrize("failpoint", ["relay.after_read:kill:2", "relay.after_ack_before_mark:kill:3"])
async def test_a_backlog_of_many_batches_stays_in_sequence_when_its_relay_is_killed(
    database: Database, pool: Pool, kafka: str, topic: str, failpoint: str
) -> None:
    """From the second batch on, the one before is marked and the next one read while a batch is sent."""
    async with transaction(pool) as late:
        await late.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # a busy machine takes longer
        await outbox.append(late, order_event(topic, "late", 1))
        await write_events(pool, topic, ORDERS, range(1, 301))
        with role_process("relay", database, kafka, topic, failpoint=failpoint) as killed:
            assert await killed.exit_status() == -signal.SIGKILL
    assert len({state for _, _, state in await states(pool)}) == (1 if "after_read" in failpoint else 2)

    async with running_relay(pool, kafka):
        await write_events(pool, topic, ORDERS, range(301, 303))
        await wait_until_published(pool)

    sequences, _ = await Topics(kafka).sequences(topic)
    assert sequences == {"late": [1], **{order: list(range(1, 303)) for order in ORDERS}}


@pytest.mark.parametrize(
    "failpoint", ["relay.after_read", "relay.after_send_before_ack", "relay.after_ack_before_mark"]
)
async def test_a_relay_that_is_paused_past_its_lease_loses_and_reorders_nothing(
    database: Database, pool: Pool, kafka: str, topic: str, failpoint: str
) -> None:
    await write_events(pool, topic, ORDERS, range(1, 4))
    with role_process("relay", database, kafka, topic, name="paused", failpoint=f"{failpoint}:stop") as paused:
        await paused.until_stopped()
        async with running_relay(pool, kafka, lease_seconds=LEASE_SECONDS):
            await wait_until_published(pool)  # not before the lease of the paused one has ended
            await write_events(pool, topic, ORDERS, range(4, 6))
            paused.send(signal.SIGCONT)
            await wait_until_published(pool)
            await eventually(lambda: holds(pool, {"paused": 16, "relay-1": 16}))

    sequences, _ = await Topics(kafka).sequences(topic)
    assert sequences == ALL_IN_SEQUENCE


@moves("outbox_lost_rows_total")
async def test_events_that_are_acknowledged_after_their_lanes_went_to_another_relay_are_counted(
    pool: Pool, kafka: str, topic: str
) -> None:
    """Their holder marks them: here nobody does, so they stay pending."""
    async with running_relay(pool, kafka, lease_seconds=60):
        await eventually(lambda: holds(pool, {"relay-1": 32}))
        await pool.execute("UPDATE relay_lanes SET token = token + 1")
        lost = REGISTRY.get_sample_value("outbox_lost_rows_total") or 0.0
        await write_events(pool, topic, ["order-1"], range(1, 3))

        async def are_counted() -> bool:
            return (REGISTRY.get_sample_value("outbox_lost_rows_total") or 0.0) >= lost + 2

        await eventually(are_counted)
    assert await states(pool) == [("order-1", 1, "pending"), ("order-1", 2, "pending")]


async def test_only_the_holder_of_a_lane_marks_its_events(pool: Pool, topic: str) -> None:
    await pool.execute("UPDATE relay_lanes SET token = 7")
    await write_events(pool, topic, ["order-1"], range(1, 3))
    every_lane = range(32)
    async with transaction(pool) as connection:
        first, second = await read_pending(connection, every_lane)

        assert not await park(connection, first, "too large", dict.fromkeys(every_lane, 6))
        assert await mark_published(connection, [first, second], dict.fromkeys(every_lane, 6)) == 0
        assert await mark_published(connection, [first, second], dict.fromkeys(every_lane, 7)) == 2


async def test_an_event_that_kafka_rejects_is_parked_and_only_its_order_waits(
    pool: Pool, kafka: str, narrow_topic: str
) -> None:
    async with transaction(pool) as connection:
        await outbox.append(
            connection,
            order_event(narrow_topic, "vast", 1),
            order_event(narrow_topic, "vast", 2, b" " * 50_000),
            order_event(narrow_topic, "vast", 3),
            *(order_event(narrow_topic, "small", sequence) for sequence in range(1, 4)),
        )
    with capture_logs() as logs:
        async with running_relay(pool, kafka):
            await eventually(lambda: is_parked(pool, "vast", 2))
            await eventually(lambda: is_published(pool, "small", 3))
            assert ("vast", 3, "pending") in await states(pool)
    assert [log["log_level"] for log in logs if log.get("alert") == "outbox_parked"] == ["critical"]
    assert (await Topics(kafka).sequences(narrow_topic))[0] == {"vast": [1], "small": [1, 2, 3]}

    await set_largest_batch(kafka, narrow_topic, 1_000_000)
    await pool.execute(UNPARK_EVENTS)
    async with running_relay(pool, kafka):
        await wait_until_published(pool)
    assert (await Topics(kafka).sequences(narrow_topic))[0] == {"vast": [1, 2, 3], "small": [1, 2, 3]}


async def is_parked(pool: Pool, order: str, sequence: int) -> bool:
    return (order, sequence, "parked") in await states(pool)


async def test_events_that_are_too_large_only_together_are_sent_one_by_one(
    pool: Pool, kafka: str, narrow_topic: str
) -> None:
    async with transaction(pool) as connection:
        await outbox.append(
            connection, *(order_event(narrow_topic, "order-1", number, b" " * 9_000) for number in range(1, 6))
        )
    async with running_relay(pool, kafka):
        await wait_until_published(pool)
    assert await Topics(kafka).sequences(narrow_topic) == ({"order-1": [1, 2, 3, 4, 5]}, 0)


async def test_a_missing_topic_delays_only_its_own_events(pool: Pool, kafka: str, topic: str) -> None:
    missing = f"{topic}-missing"
    await write_events(pool, missing, ["order-1"], range(1, 3))
    await write_events(pool, topic, ["order-2"], range(1, 3))
    async with running_relay(pool, kafka):
        await eventually(lambda: is_published(pool, "order-2", 2))
        assert await states(pool) == [
            ("order-1", 1, "pending"),
            ("order-1", 2, "pending"),
            ("order-2", 1, "published"),
            ("order-2", 2, "published"),
        ]
        await create_topics(kafka, [missing], partitions=1)
        await wait_until_published(pool)
    assert await Topics(kafka).sequences(missing) == ({"order-1": [1, 2]}, 0)


async def test_an_order_that_waits_behind_a_parked_event_is_not_read(pool: Pool, topic: str) -> None:
    await write_events(pool, topic, ["parked", "free"], range(1, 3))
    await pool.execute(PARK_EVENT, topic, "parked", 1)
    async with transaction(pool) as connection:
        rows = await read_pending(connection, range(32))
    assert [(row["key"], row["sequence"]) for row in rows] == [("free", 1), ("free", 2)]


async def test_a_round_reads_a_bounded_amount_of_data(pool: Pool, topic: str) -> None:
    async with transaction(pool) as connection:
        await outbox.append(
            connection, *(order_event(topic, "order-1", number, b" " * 900_000) for number in range(1, 31))
        )
        rows = await read_pending(connection, range(32))
    assert len(rows) == 19


async def test_a_relay_stops_at_once_while_the_broker_is_unavailable(pool: Pool, topic: str) -> None:
    await write_events(pool, topic, ["order-1"], range(1, 2))
    async with asyncio.timeout(8):
        async with running_relay(pool, "127.0.0.1:1"):
            await eventually(lambda: holds(pool, {"relay-1": 32}))
    assert await holds(pool, {None: 32})


async def test_a_producer_that_lost_its_task_is_replaced(kafka: str, topic: str) -> None:
    publisher = Publisher(kafka, "orders")
    await publisher.connect()
    lost = publisher._producer
    assert lost is not None
    await end_metadata_task(lost.client)
    try:
        await publisher.connect()
        replaced = publisher._producer
        assert replaced is not None
        assert replaced is not lost
        await replaced.send_and_wait(topic, b"of the new one")
    finally:
        await publisher.discard()
