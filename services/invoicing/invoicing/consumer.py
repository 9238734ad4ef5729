"""Takes in shipped orders: the invoice is numbered and frozen here, and made by the worker."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.audit.actor import Actor
from common.database.statements import Connection
from common.messaging.incoming.subscriber import EventHandler, Incoming
from common.telemetry.trace_context import new_traceparent

from invoicing.domain import UTC_CALENDAR, Seller, SellerCalendar
from invoicing.events import OrderShippedView
from invoicing.use_cases.opening import ShippedOrder, accept_shipped_orders


def event_handlers(seller: Seller, calendar: SellerCalendar = UTC_CALENDAR) -> Mapping[str, EventHandler[Any]]:
    """By event type, what invoicing does with it; `seller` is in whose name new invoices are made, and by whose
    `calendar` they are dated."""

    async def on_order_shipped(connection: Connection, events: Sequence[Incoming[OrderShippedView]]) -> None:
        shipped = [
            ShippedOrder(
                order=incoming.data,
                actor=Actor(
                    id="order.shipped",
                    type="SYSTEM",
                    trigger="EVENT",
                    traceparent=new_traceparent(incoming.event.traceparent),
                    causation_id=incoming.event.id,
                ),
            )
            for incoming in events
        ]
        await accept_shipped_orders(connection, seller, shipped, calendar)

    return {"order.shipped": EventHandler(OrderShippedView, on_order_shipped)}
