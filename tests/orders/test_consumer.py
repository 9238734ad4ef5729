"""The consumer of orders on real Kafka: each result is applied once; unreadable records delay no others."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest_asyncio
from aiokafka import AIOKafkaProducer
from common.health import Health
from common.messaging.envelope import full_name
from common.messaging.kafka.topics import create_topics
from common.running.role_components import role_components
from common.service import Runtime
from orders.app import SERVICE
from orders.events import INVOICES_TOPIC, REFUNDS_TOPIC
from orders.settings import OrdersSettings
from support.events.traceparent import TRACEPARENT
from support.example.orders import place_in
from support.gateway.application import Gateway
from support.waiting import eventually

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True)
class OtherServices:
    """A producer in place of the services refunds and invoicing."""

    producer: AIOKafkaProducer

    async def send(self, topic: str, key: str | None, value: bytes | None, headers: Headers) -> None:
        await self.producer.send_and_wait(topic, value, key.encode() if key else None, headers=headers)

    async def refund(self, order_id: str, headers: Headers, **changes: Any) -> None:
        data = {
            "refund_id": str(uuid4()),
            "order_id": order_id,
            "return_id": None,
            "cause": "ORDER_CANCELLED",
            "amount": "79.06",
            "payment_reference": "ch_teacups",
            "status": "SUCCEEDED",
            "transaction_id": "re_teacups",
            **changes,
        }
        await self.send(REFUNDS_TOPIC, order_id, json.dumps(data).encode(), headers)


def an_envelope(event_type: str, key: str, sequence: int = 1, *, version: int = 1) -> Headers:
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_source": "/articurated/refunds",
        "ce_type": full_name(event_type).removesuffix("1") + str(version),
        "ce_subject": key,
        "ce_time": "2026-11-22T12:00:00Z",
        "ce_sequence": str(sequence),
        "ce_epoch": "1",
        "traceparent": TRACEPARENT,
    }
    return [(name, value.encode()) for name, value in attributes.items()]


@pytest_asyncio.fixture
async def other_services(kafka: str) -> AsyncIterator[OtherServices]:
    await create_topics(kafka, SERVICE.topics)
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    yield OtherServices(producer)
    await producer.stop()


@asynccontextmanager
async def consuming(gateway: Gateway, kafka: str) -> AsyncIterator[None]:
    """Run the role `consumer` as the service itself builds it."""
    settings = OrdersSettings(database_url="postgresql://the-pool-is-given", kafka_bootstrap=kafka)
    runtime = Runtime(SERVICE, settings, gateway.pool, Health("orders", settings))
    stopping = asyncio.Event()
    running = asyncio.gather(*(component.run(stopping) for component in role_components("consumer", runtime)))
    try:
        yield
    finally:
        stopping.set()
        await asyncio.wait_for(running, 15)


async def refund_status(gateway: Gateway, order: dict[str, Any]) -> tuple[str, int]:
    now = (await gateway.get(f"/orders/{order['id']}")).json()
    return now["refund_status"], now["version"] - order["version"]


async def poison_count(gateway: Gateway, key: str) -> int:
    count: int = await gateway.pool.fetchval("SELECT count(*) FROM poison WHERE key = $1", key.encode())
    return count


async def test_a_refund_result_is_applied_once_among_invalid_and_repeated_records(
    fresh_gateway: Gateway, kafka: str, other_services: OtherServices
) -> None:
    order = await place_in(fresh_gateway, "CANCELLED_AFTER_PAYMENT")
    key = order["id"]
    succeeded = an_envelope("refund.succeeded", key, 2)
    await other_services.send(REFUNDS_TOPIC, key, b"{not json", an_envelope("refund.succeeded", key))
    await other_services.send(REFUNDS_TOPIC, key, None, an_envelope("refund.succeeded", key))
    await other_services.send(REFUNDS_TOPIC, key, b"{}", [])
    no_text = [(name, b"\xff" if name == "ce_id" else value) for name, value in succeeded]
    await other_services.send(REFUNDS_TOPIC, key, b"{}", no_text)
    await other_services.refund(key, an_envelope("refund.paused", key))
    await other_services.refund(key, succeeded)
    await other_services.refund(key, succeeded)
    await other_services.refund(key, an_envelope("refund.succeeded", key, version=2))
    await other_services.refund(key, an_envelope("refund.succeeded", key, 3), payment_reference="ch_unknown")
    await other_services.refund(key, an_envelope("refund.failed", key, 1), status="FAILED", transaction_id=None)
    last = await place_in(fresh_gateway, "CANCELLED_AFTER_PAYMENT")
    async with consuming(fresh_gateway, kafka):
        await eventually(lambda: _has_refund_status(fresh_gateway, order, "SUCCEEDED"))
        await other_services.refund(
            last["id"], an_envelope("refund.failed", last["id"]), status="FAILED", transaction_id=None
        )
        await eventually(lambda: _has_refund_status(fresh_gateway, last, "FAILED"))
        assert await refund_status(fresh_gateway, order) == ("SUCCEEDED", 1)
        # Not JSON, no value, no headers, a header that is not text, an unknown major version, an unknown payment.
        await eventually(lambda: _has_poison(fresh_gateway, key, 6))


async def test_an_invoice_is_available_soon_after_it_was_issued(
    fresh_gateway: Gateway, kafka: str, other_services: OtherServices
) -> None:
    order = await place_in(fresh_gateway, "SHIPPED")
    data = {
        "invoice_id": str(uuid4()),
        "invoice_number": "INV-2026-000001",
        "order_id": order["id"],
        "currency": "EUR",
        "total_amount": "79.06",
        "issued_at": "2026-11-22T12:00:00Z",
        "document": {"sha256": "ab" * 32, "size_bytes": 20_480, "content_type": "application/pdf"},
    }
    async with consuming(fresh_gateway, kafka):
        envelope = an_envelope("invoice.issued", order["id"])
        await other_services.send(INVOICES_TOPIC, order["id"], json.dumps(data).encode(), envelope)

        async def is_available() -> bool:
            return (await fresh_gateway.get(f"/orders/{order['id']}/invoice")).status_code == 200

        await eventually(is_available)


async def _has_refund_status(gateway: Gateway, order: dict[str, Any], status: str) -> bool:
    return (await refund_status(gateway, order))[0] == status


async def _has_poison(gateway: Gateway, key: str, count: int) -> bool:
    return await poison_count(gateway, key) == count
