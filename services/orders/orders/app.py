"""The composition root of orders: its roles, the topics and the settings of each."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from common.service import OperatorCommand, Runtime, Service

from orders.events import INVOICES_TOPIC, ORDERS_TOPIC, REFUNDS_TOPIC
from orders.settings import OrdersSettings
from orders.tables import metadata, order_counts, order_events

if TYPE_CHECKING:
    from common.database.statements import Connection
    from common.messaging.incoming.records import Handlers
    from common.reconciliation.check import Check
    from fastapi import FastAPI

    from orders.explanation.evidence import Limits
    from orders.timeline_client import TimelineClient


def gateway(runtime: Runtime[OrdersSettings]) -> "FastAPI":
    from common.edge.commands.bulk import BulkCommands
    from common.edge.gateway import create_gateway
    from common.signed_links import SignedLinks
    from common.text.email_address import parse_email_address

    from orders import explain_routes
    from orders.routes import router
    from orders.schemas.responses import InvoiceLinks

    parse_email_address("ada@münchen.example")  # reads the tables for international domains, which takes 0.15 s, now
    routers = [router, explain_routes.router, explain_routes.timelines]
    app = create_gateway(runtime, routers, entities="orders", count_by_status=order_counts.by_status)
    app.state.timeline_client = client = timeline_client(runtime.settings)
    app.state.result_limits = result_limits(runtime.settings)
    app.state.components = (*app.state.components, client.component)
    app.state.bulk_commands = BulkCommands()
    app.state.invoice_links = InvoiceLinks(
        origin=runtime.settings.invoice_download_url,
        signed=SignedLinks(runtime.settings.link_signing_key.get_secret_value()),
        valid_for=timedelta(minutes=runtime.settings.invoice_link_minutes),
    )
    return app


def timeline_client(settings: OrdersSettings) -> "TimelineClient":
    from orders.timeline_client import TimelineClient

    addresses = {"returns": settings.returns_url, "invoicing": settings.invoicing_url, "refunds": settings.refunds_url}
    return TimelineClient(addresses, settings.explain_timeout_seconds)


def result_limits(settings: OrdersSettings) -> "Limits":
    from orders.explanation.evidence import Limits

    return Limits(timedelta(minutes=settings.invoice_limit_minutes), timedelta(minutes=settings.refund_limit_minutes))


def operator_commands() -> Iterable[OperatorCommand]:
    from orders.explain_command import explain_order

    async def explain(connection: "Connection", runtime: Runtime[OrdersSettings], order: str) -> dict[str, Any]:
        settings = runtime.settings
        key, client = settings.explain_api_key.get_secret_value(), timeline_client(settings)
        return await explain_order(connection, runtime.service, order, client, key, result_limits(settings))

    meaning = "what an order waits for, since when, what happens next, and what a person can do"
    return (OperatorCommand("explain", meaning, explain, arguments={"order": "its id or its number"}),)


def event_handlers(_settings: OrdersSettings) -> "Handlers":
    from orders.consumer import EVENT_HANDLERS

    return EVENT_HANDLERS


@asynccontextmanager
async def checks(settings: OrdersSettings) -> "AsyncIterator[Iterable[Check]]":
    from orders.checks import order_checks

    yield order_checks(
        timedelta(minutes=settings.invoice_limit_minutes), timedelta(minutes=settings.refund_limit_minutes)
    )


SERVICE = Service(
    name="orders",
    settings=OrdersSettings,
    metadata=metadata,
    gateway=gateway,
    publishes=(ORDERS_TOPIC,),
    consumes=(INVOICES_TOPIC, REFUNDS_TOPIC),
    event_handlers=event_handlers,
    counts=order_counts,
    checks=checks,
    operator_commands=operator_commands,
    event_counter=order_events,
)
