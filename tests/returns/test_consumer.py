"""The consumer of returns on real Kafka: its copy of orders, and the results of refunds."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from common.database.transactions import Pool, transaction
from common.health import Health
from common.messaging.envelope import full_name
from common.messaging.incoming.records import Incoming
from common.messaging.kafka.partitioner import partition_of
from common.messaging.kafka.topics import create_topics
from common.running.role_components import role_components
from common.service import Runtime
from returns.app import SERVICE
from returns.consumer import EVENT_HANDLERS
from returns.events import ORDERS_TOPIC, REFUNDS_TOPIC
from returns.settings import ReturnsSettings
from support.events.traceparent import TRACEPARENT
from support.example.ada import EMAIL, ORDER_NUMBER
from support.example.orders import created
from support.example.returns import a_return, deliver_order_event, open_in, order_event, order_view_data, refund_result
from support.gateway.application import Gateway
from support.postgres.audit_and_events import audit_and_events
from support.running import running
from support.waiting import eventually, eventually_true


@pytest_asyncio.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    await create_topics(kafka, [ORDERS_TOPIC, REFUNDS_TOPIC])
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    yield producer
    await producer.stop()


@asynccontextmanager
async def consuming(pool: Pool, kafka: str) -> AsyncIterator[None]:
    """Run the service's own consumer; it continues at the offset where the previous one stopped."""
    settings = ReturnsSettings(database_url="postgresql://the-pool-is-given", kafka_bootstrap=kafka)
    (consumer,) = role_components("consumer", Runtime(SERVICE, settings, pool, Health(SERVICE.name, settings)))
    async with running(consumer.run):
        yield


def headers(event_type: str, key: str, sequence: int, **changes: str | None) -> list[tuple[str, bytes]]:
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_source": "/articurated/orders",
        "ce_type": full_name(event_type),
        "ce_subject": key,
        "ce_time": "2026-11-22T12:00:00Z",
        "ce_sequence": str(sequence),
        "ce_epoch": "1",
        "traceparent": TRACEPARENT,
        **changes,
    }
    return [(name, value.encode()) for name, value in attributes.items() if value is not None]


async def send(
    producer: AIOKafkaProducer, order_data: dict[str, Any], event_type: str = "order.delivered", sequence: int = 5
) -> int:
    """Send the event and return its partition."""
    topic = REFUNDS_TOPIC if event_type.startswith("refund.") else ORDERS_TOPIC
    key = order_data["order_id"]
    record = await producer.send_and_wait(
        topic, json.dumps(order_data).encode(), key.encode(), headers=headers(event_type, key, sequence)
    )
    partition: int = record.partition
    return partition


async def copy_of(pool: Pool, order_id: str) -> dict[str, Any]:
    row = await pool.fetchrow("SELECT * FROM known_orders WHERE order_id = $1", UUID(order_id))
    return {} if row is None else dict(row)


async def status_becomes(pool: Pool, order_id: str, status: str) -> None:
    async def has_status() -> bool:
        return (await copy_of(pool, order_id)).get("status") == status

    await eventually(has_status)


async def until_caught_up(pool: Pool) -> None:
    """Wait until the copy contains all records that are in Kafka now."""
    now = await pool.fetchval("SELECT clock_timestamp()")

    async def is_caught_up() -> bool:
        return bool(
            await pool.fetchval(
                "SELECT count(*) = 24 AND min(caught_up_at) >= $1 FROM consumer_positions WHERE topic = ANY($2)",
                now,
                [ORDERS_TOPIC, REFUNDS_TOPIC],
            )
        )

    await eventually(is_caught_up)


async def test_with_a_caught_up_consumer_early_returns_open_and_wrong_ones_are_rejected(
    fresh_gateway: Gateway, kafka: str, producer: AIOKafkaProducer
) -> None:
    pool, order_data = fresh_gateway.pool, order_view_data()
    async with consuming(pool, kafka):
        await until_caught_up(pool)
        early = asyncio.create_task(fresh_gateway.post("/returns", a_return(order_data["order_id"])))
        unknown = asyncio.create_task(fresh_gateway.post("/returns", a_return(str(uuid4()))))
        shipped_data = {**order_view_data(), "status": "SHIPPED", "delivered_at": None}
        await send(producer, shipped_data, "order.shipped", sequence=4)
        undelivered = asyncio.create_task(fresh_gateway.post("/returns", a_return(shipped_data["order_id"])))
        delivery_wait = fresh_gateway.app.state.delivery_wait
        others = (unknown, undelivered)
        await eventually_true(lambda: len(delivery_wait) + sum(each.done() for each in others) == 3)
        assert await send(producer, order_data) == partition_of(order_data["order_id"], 12)
        created(await early)
        assert (await unknown).status_code == 404
        assert (await undelivered).json()["error"]["details"] == {"reason": "not_delivered", "order_status": "SHIPPED"}
    late = await fresh_gateway.post("/returns", a_return(str(uuid4())))
    assert (late.status_code, late.headers["Retry-After"]) == (503, "1")


async def test_every_order_event_is_copied_with_the_fields_that_a_return_needs(
    fresh_gateway: Gateway, kafka: str, producer: AIOKafkaProducer
) -> None:
    pool = fresh_gateway.pool
    types = [name for name in EVENT_HANDLERS if name.startswith("order.")]
    order_data = [order_view_data(status=name.upper(), unknown_to_returns=[1, {"x": None}]) for name in types]
    for event_type, data in zip(types, order_data, strict=True):
        await send(producer, data, event_type)
    async with consuming(pool, kafka):
        for data in order_data:
            await status_becomes(pool, data["order_id"], data["status"])
    copy = await copy_of(pool, order_data[0]["order_id"])
    assert (copy["order_number"], copy["customer_email"]) == (ORDER_NUMBER, EMAIL)
    assert (str(copy["total_amount"]), str(copy["captured_amount"])) == ("79.0600", "79.0600")
    assert (copy["payment_reference"], copy["epoch"], copy["sequence"]) == ("ch_teacups", 1, 5)
    assert copy["delivered_at"].isoformat() == order_data[0]["delivered_at"]


async def test_invalid_records_are_stored_as_poison_and_delay_no_others(
    fresh_gateway: Gateway, kafka: str, producer: AIOKafkaProducer
) -> None:
    pool, first, last = fresh_gateway.pool, order_view_data(), order_view_data()
    key, value = first["order_id"].encode(), json.dumps(first).encode()
    repeated_headers = headers("order.delivered", first["order_id"], 5)
    unpaid_order = json.dumps(order_view_data(payment_reference=None)).encode()
    partition = partition_of(first["order_id"], 12)
    last["order_id"] = next(each for each in map(str, iter(uuid4, None)) if partition_of(each, 12) == partition)
    records: list[tuple[bytes | None, list[tuple[str, bytes]]]] = [
        (value, repeated_headers),
        (b"{not json", headers("order.paid", first["order_id"], 6)),
        (b'{"order_id": 7}', headers("order.paid", first["order_id"], 6)),
        (None, headers("order.paid", first["order_id"], 6)),
        (value, []),
        (value, headers("order.paid", first["order_id"], 6, ce_sequence="six")),
        (value, headers("order.paid", first["order_id"], 6, ce_type="com.articurated.order.paid.v2")),
        (unpaid_order, headers("order.delivered", first["order_id"], 6)),
        (value, headers("order.wrapped_as_a_gift", first["order_id"], 6)),
        (value, repeated_headers),
        (json.dumps(last).encode(), headers("order.delivered", last["order_id"], 5)),
    ]
    async with consuming(pool, kafka):
        await until_caught_up(pool)
        acknowledgements = [
            await producer.send(ORDERS_TOPIC, value, key, partition=partition, headers=its_headers)
            for value, its_headers in records
        ]
        await asyncio.gather(*acknowledgements)
        await status_becomes(pool, last["order_id"], "DELIVERED")
    assert (await copy_of(pool, first["order_id"]))["sequence"] == 5
    poison_rows = await pool.fetch('SELECT value FROM poison WHERE key = $1 ORDER BY "offset"', key)
    assert [row["value"] for row in poison_rows] == [record[0] for record in records[1:8]]


async def test_three_thousand_events_a_second_are_copied(
    fresh_gateway: Gateway, kafka: str, producer: AIOKafkaProducer
) -> None:
    """A loose check of the design's aim, because the machine also runs other work."""
    pool, order_data = fresh_gateway.pool, [order_view_data() for _ in range(3000)]
    async with consuming(pool, kafka):
        await until_caught_up(pool)
        acknowledgements = [
            await producer.send(
                ORDERS_TOPIC,
                json.dumps(each).encode(),
                each["order_id"].encode(),
                headers=headers("order.delivered", each["order_id"], 5),
            )
            for each in order_data
        ]
        start = time.monotonic()
        await asyncio.gather(*acknowledgements)
        ids = [UUID(each["order_id"]) for each in order_data]

        async def all_copied() -> bool:
            return bool(await pool.fetchval("SELECT count(*) FROM known_orders WHERE order_id = ANY($1)", ids) == 3000)

        await eventually(all_copied)
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(("newer", "older"), [((1, 5), (1, 4)), ((2, 1), (1, 5)), ((1, 10), (1, 9)), ((1, 5), (1, 5))])
async def test_an_older_event_that_arrives_later_changes_nothing(
    gateway: Gateway, newer: tuple[int, int], older: tuple[int, int]
) -> None:
    order_data = order_view_data()
    await deliver_order_event(gateway.pool, order_data, epoch=newer[0], sequence=newer[1])
    await deliver_order_event(
        gateway.pool, {**order_data, "status": "SHIPPED", "delivered_at": None}, epoch=older[0], sequence=older[1]
    )
    assert (await copy_of(gateway.pool, order_data["order_id"]))["status"] == "DELIVERED"
    await deliver_order_event(
        gateway.pool, {**order_data, "status": "IN_A_MUSEUM"}, epoch=newer[0], sequence=newer[1] + 1
    )
    assert (await copy_of(gateway.pool, order_data["order_id"]))["status"] == "IN_A_MUSEUM"


async def test_of_several_events_in_one_batch_the_newest_counts(gateway: Gateway) -> None:
    order_data = order_view_data()
    handler = EVENT_HANDLERS["order.paid"]
    batch = [
        Incoming(
            order_event(order_data["order_id"], sequence=sequence),
            handler.view.model_validate({**order_data, "status": f"STATE_{sequence}"}),
        )
        for sequence in (2, 4, 3)
    ]
    async with transaction(gateway.pool) as connection:
        await handler.process(connection, batch)
    assert (await copy_of(gateway.pool, order_data["order_id"]))["status"] == "STATE_4"


async def test_the_result_of_a_refund_is_shown_on_its_return(
    fresh_gateway: Gateway, kafka: str, producer: AIOKafkaProducer
) -> None:
    completed = await open_in(fresh_gateway, "COMPLETED")
    before = await audit_and_events(fresh_gateway.pool, "RETURN", completed["id"])
    await send(producer, refund_result(completed, "FAILED"), "refund.failed", 1)
    other = refund_result(completed, "SUCCEEDED", "re_other") | {"return_id": None, "cause": "ORDER_CANCELLED"}
    await send(producer, other, "refund.succeeded", 2)
    await send(producer, refund_result(completed, "SUCCEEDED", "re_teacups"), "refund.succeeded", 3)
    async with consuming(fresh_gateway.pool, kafka):

        async def has_succeeded() -> dict[str, Any] | None:
            current: dict[str, Any] = (await fresh_gateway.get(f"/returns/{completed['id']}")).json()
            return current if current["refund_status"] == "SUCCEEDED" else None

        current = await eventually(has_succeeded)
    assert current is not None
    assert (current["refund_transaction_id"], current["version"]) == ("re_teacups", completed["version"] + 2)
    assert current["updated_at"] > completed["updated_at"]
    assert (current["status"], current["completed_at"]) == ("COMPLETED", completed["completed_at"])
    added = (await audit_and_events(fresh_gateway.pool, "RETURN", completed["id"])).since(before)
    assert (added.transitions, added.events) == ([("COMPLETED", "COMPLETED", "ACCEPTED")] * 2, [])
    history = (await fresh_gateway.get(f"/returns/{completed['id']}/history?include=all")).json()["data"]
    assert [(each["trigger"], each["metadata"]["refund_status"]) for each in history[-2:]] == [
        ("EVENT", "FAILED"),
        ("EVENT", "SUCCEEDED"),
    ]
