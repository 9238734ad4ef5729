"""What makes metrics move: each cause lasts while its block runs, on a stack, and names what it moves."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from demo import journeys
from demo.client import Shop
from demo.narrator import Narrator
from demo.stories import STORIES
from rich.console import Console
from support.kafka.raw_records import RawRecord, produce
from support.processes.tls import TLS

Effect = AbstractAsyncContextManager[None]


@dataclass(frozen=True)
class Cause:
    begin: Callable[[Shop], Effect]
    looks_at: str
    """The service whose processes show it; all of them, if empty."""
    moves: tuple[str, ...]


async def _paid_order(shop: Shop, payment: str | None = None) -> dict[str, Any]:
    order = await journeys.place(shop, journeys.example("returned-order"))
    await journeys.pay(shop, order["id"], payment or f"pi_{uuid4().hex}")
    return order


async def _sandbox(shop: Shop, path: str, body: dict[str, Any]) -> None:
    async with httpx.AsyncClient(verify=TLS) as client:
        response = await client.post(f"{shop.stack['payment_sandbox']['url']}/sandbox/{path}", json=body)
        response.raise_for_status()


@asynccontextmanager
async def customers(shop: Shop) -> AsyncIterator[None]:
    for story in STORIES:
        await story(shop, Narrator(Console(file=io.StringIO())))
    for process in shop.stack["processes"]:
        if process["name"] == "console":
            await shop.ask(f"{process['url']}/login")
    await shop.ask(f"{shop.stack['gateway']['url']}/api/v1/orders")
    yield


@asynccontextmanager
async def malformed_request(shop: Shop) -> AsyncIterator[None]:
    url = httpx.URL(shop.stack["services"]["orders"]["url"])
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"this is no HTTP\r\n\r\n")
    await reader.read()
    writer.close()
    await writer.wait_closed()
    yield


@asynccontextmanager
async def late_payment(shop: Shop) -> AsyncIterator[None]:
    order = await _paid_order(shop)
    body = {"new_state": "PAID", "payment_transaction_id": f"pi_{uuid4().hex}"}
    await shop.as_role("payments", "PATCH", f"/orders/{order['id']}/state", body)
    yield


@asynccontextmanager
async def undecided_return(shop: Shop) -> AsyncIterator[None]:
    order = await _paid_order(shop)
    await journeys.pack(shop, order["id"])
    await journeys.ship(shop, order["id"])
    await journeys.deliver(shop, order["id"])
    await journeys.open_return(shop, order["id"], "cracked")
    yield


@asynccontextmanager
async def declined_refund(shop: Shop) -> AsyncIterator[None]:
    payment = f"pi_{uuid4().hex}"
    await _sandbox(shop, "faults", {"mode": "decline", "times": None, "payment": payment})
    order = await _paid_order(shop, payment)
    await journeys.cancel(shop, order["id"], "changed her mind")
    yield


@asynccontextmanager
async def dispute(shop: Shop) -> AsyncIterator[None]:
    payment = f"pi_{uuid4().hex}"
    await _paid_order(shop, payment)
    await _sandbox(shop, "disputes", {"payment": payment, "status": "opened", "amount": 100})
    yield


@asynccontextmanager
async def unavailable_gateway(shop: Shop) -> AsyncIterator[None]:
    url = f"{shop.stack['payment_sandbox']['url']}/sandbox/faults"
    await _sandbox(shop, "faults", {"mode": "unavailable", "times": None})
    for _ in range(6):
        order = await _paid_order(shop)
        await journeys.cancel(shop, order["id"], "changed her mind")
    yield
    async with httpx.AsyncClient(verify=TLS) as client:
        await client.delete(url)


@asynccontextmanager
async def poison_record(shop: Shop) -> AsyncIterator[None]:
    await produce(shop.stack["kafka"]["bootstrap"], "articurated.orders", [RawRecord(b"\x00", [], b"nobody")])
    yield


@asynccontextmanager
async def rejected_event(shop: Shop) -> AsyncIterator[None]:
    order = journeys.example("returned-order")
    await _largest_record(shop, 300)
    try:
        await journeys.place(shop, order)
        yield
    finally:
        await _largest_record(shop, 1_048_588)


async def _largest_record(shop: Shop, size: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=shop.stack["kafka"]["bootstrap"])
    await admin.start()
    try:
        settings = {"max.message.bytes": str(size)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "articurated.orders", settings)])
    finally:
        await admin.close()


@asynccontextmanager
async def hung_broker(shop: Shop) -> AsyncIterator[None]:
    [kafka] = [each["pid"] for each in shop.stack["processes"] if each["name"] == "kafka"]
    os.kill(kafka, signal.SIGSTOP)
    try:
        await journeys.place(shop, journeys.example("kept-order"))
        yield
    finally:
        os.kill(kafka, signal.SIGCONT)


_HTTP = "http_server_request_duration_seconds"
CAUSES = (
    Cause(
        customers,
        "",
        (
            f"{_HTTP}_count", f"{_HTTP}_bucket", "consumer_events_total", "consumer_batch_seconds_bucket",
            "consumer_event_delay_seconds_count", "consumer_event_delay_seconds_bucket", "outbox_published_total",
            "outbox_relay_batch_seconds_bucket", "job_attempts_total", "job_attempt_seconds_bucket",
            "job_start_delay_seconds_count", "job_start_delay_seconds_bucket", "invoices_total",
            "invoice_issue_seconds_count", "invoice_issue_seconds_bucket", "invoice_mails_total", "refunds_total",
            "refund_seconds_count", "refund_seconds_bucket", "refund_mails_total", "gateway_events_total",
            "audit_leaves", "process_cpu_seconds_total", "process_resident_memory_bytes", "event_loop_lag_seconds",
            "origin_request_duration_seconds_bucket", "console_request_duration_seconds_bucket",
            "http_server_connections",
        ),
    ),
    Cause(malformed_request, "orders", ("http_server_ended_connections_total",)),
    Cause(late_payment, "orders", ("unexpected_payments_total",)),
    Cause(undecided_return, "returns", ("returns_oldest_unreviewed_age_seconds", "returns_overdue_reviews",
                                        "return_review_steps_total")),
    Cause(declined_refund, "", ("jobs_dead_rows", "alerts_total")),
    Cause(dispute, "refunds", ("payment_disputes_open",)),
    Cause(unavailable_gateway, "refunds", ("payment_gateway_circuit_open", "refunds_open")),
    Cause(poison_record, "", ("poison_kept_rows",)),
    Cause(rejected_event, "orders", ("outbox_parked_rows", "discrepancies", "discrepancies_found_total")),
    Cause(hung_broker, "orders", ("outbox_pending_rows", "outbox_oldest_pending_age_seconds",
                                  "outbox_delivery_failures_total", "reconciliation_failures_total")),
)  # fmt: skip
