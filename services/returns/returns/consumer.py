"""The handlers of consumed events: changed orders, states of refunds."""

from collections.abc import Sequence

from common.database.statements import Connection
from common.messaging.incoming.records import EventHandler, Handlers, Incoming

from returns.events import OF_REFUND, OrderView, RefundView
from returns.repository import orders
from returns.use_cases.refunds import save_refund


async def on_order_changed(connection: Connection, events: Sequence[Incoming[OrderView]]) -> None:
    await orders.save(connection, [(incoming.data, incoming.event) for incoming in events])


async def on_refund(connection: Connection, events: Sequence[Incoming[RefundView]]) -> None:
    for incoming in events:
        await save_refund(connection, incoming.data, incoming.event)


_ORDER_CHANGED = EventHandler(OrderView, on_order_changed)

EVENT_HANDLERS: Handlers = {
    "order.created": _ORDER_CHANGED,
    "order.paid": _ORDER_CHANGED,
    "order.processing": _ORDER_CHANGED,
    "order.shipped": _ORDER_CHANGED,
    "order.delivered": _ORDER_CHANGED,
    "order.cancelled": _ORDER_CHANGED,
    "order.late_payment": _ORDER_CHANGED,
    "order.surplus_payment": _ORDER_CHANGED,
    "order.mismatched_payment": _ORDER_CHANGED,
    "order.payment_identified": _ORDER_CHANGED,
    **dict.fromkeys(OF_REFUND, EventHandler(RefundView, on_refund)),
}
