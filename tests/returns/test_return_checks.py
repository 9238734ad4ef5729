"""The copy of orders is compared with the orders' events on Kafka, and mended from them."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from common.messaging.envelope import full_name
from returns.checks import CopyOfOrders
from support.events.traceparent import TRACEPARENT
from support.example.returns import deliver_order_event, order_view_data
from support.gateway.application import Gateway
from support.kafka.topics import MakeTopic
from support.reconciliation.rounds import reconcile

NOW = timedelta(0)


async def publish(kafka: str, topic: str, *events: tuple[str, int, dict[str, Any]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    for event_type, sequence, data in events:
        attributes = {
            "ce_specversion": "1.0",
            "ce_id": str(uuid4()),
            "ce_source": "/articurated/orders",
            "ce_type": full_name(event_type),
            "ce_subject": data["order_id"],
            "ce_time": "2026-11-22T12:00:00Z",
            "ce_sequence": str(sequence),
            "ce_epoch": "1",
            "traceparent": TRACEPARENT,
        }
        headers = [(name, value.encode()) for name, value in attributes.items()]
        await producer.send_and_wait(topic, json.dumps(data).encode(), data["order_id"].encode(), headers=headers)
    await producer.stop()


async def test_a_copy_that_missed_an_event_is_named_and_mended(
    fresh_gateway: Gateway, kafka: str, make_topic: MakeTopic
) -> None:
    pool, topic = fresh_gateway.pool, await make_topic()
    intact, behind, lost = (order_view_data() for _ in range(3))
    for each in (intact, behind, lost):
        events = [("order.shipped", 4, {**each, "status": "SHIPPED"}), ("order.delivered", 5, each)]
        await publish(kafka, topic, *events, ("reconciliation.discrepancy", 6, each))
    await deliver_order_event(pool, intact, sequence=5)
    await deliver_order_event(pool, {**behind, "status": "SHIPPED"}, sequence=4)
    check = CopyOfOrders(kafka, topic, settled=NOW)

    found = await reconcile(pool, [check])

    assert sorted(found) == sorted(("order_copy_stale", each["order_id"]) for each in (behind, lost))
    rows = await pool.fetch("SELECT status, sequence FROM known_orders")
    assert [tuple(row) for row in rows] == [("DELIVERED", 5)] * 3
    assert await reconcile(pool, [check]) == []

    await pool.execute("DELETE FROM known_orders")  # long after they were compared
    assert len(await reconcile(pool, [check])) == 3
    assert await pool.fetchval("SELECT count(*) FROM known_orders") == 3
    assert await reconcile(pool, [check]) == []
