"""The composition root of orders: its roles, the topics and the settings of each."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from common.service import Runtime, Service

from orders.events import INVOICES_TOPIC, ORDERS_TOPIC, REFUNDS_TOPIC
from orders.settings import OrdersSettings
from orders.tables import metadata, order_counts, order_events

if TYPE_CHECKING:
    from common.messaging.incoming.records import Handlers
    from common.reconciliation.check import Check
    from fastapi import FastAPI


def gateway(runtime: Runtime[OrdersSettings]) -> "FastAPI":
    from common.edge.commands.bulk import BulkCommands
    from common.edge.gateway import create_gateway
    from common.signed_links import SignedLinks
    from common.text.email_address import parse_email_address

    from orders import explain_routes
    from orders.explanation.evidence import Limits
    from orders.routes import router
    from orders.schemas.responses import InvoiceLinks
    from orders.timeline_client import TimelineClient

    parse_email_address("ada@münchen.example")  # reads the tables for international domains, which takes 0.15 s, now
    routers = [router, explain_routes.router, explain_routes.timelines]
    app = create_gateway(runtime, routers, entities="orders", count_by_status=order_counts.by_status)
    settings = runtime.settings
    addresses = {"returns": settings.returns_url, "invoicing": settings.invoicing_url, "refunds": settings.refunds_url}
    app.state.timeline_client = client = TimelineClient(addresses, settings.explain_timeout_seconds)
    app.state.result_limits = Limits(
        timedelta(minutes=settings.invoice_limit_minutes), timedelta(minutes=settings.refund_limit_minutes)
    )
    app.state.components = (*app.state.components, client.component)
    app.state.bulk_commands = BulkCommands()
    app.state.invoice_links = InvoiceLinks(
        origin=runtime.settings.invoice_download_url,
        signed=SignedLinks(runtime.settings.link_signing_key.get_secret_value()),
        valid_for=timedelta(minutes=runtime.settings.invoice_link_minutes),
    )
    return app


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
    event_counter=order_events,
)
