"""Takes in what became of orders elsewhere: the money that went back, the invoice that was issued."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.database.statements import Connection
from common.messaging.incoming.subscriber import EventHandler, Incoming

from orders import use_cases
from orders.events import InvoiceView, RefundView

# The money of a returned order is the return's business.
_OF_A_RETURN = "RETURN_COMPLETED"


async def on_refund_result(connection: Connection, events: Sequence[Incoming[RefundView]]) -> None:
    for incoming in events:
        if incoming.data.cause != _OF_A_RETURN:
            await use_cases.save_refund_result(connection, incoming.data, incoming.event)


async def on_invoice_issued(connection: Connection, events: Sequence[Incoming[InvoiceView]]) -> None:
    await use_cases.save_invoices(connection, [(incoming.data, incoming.event) for incoming in events])


EVENT_HANDLERS: Mapping[str, EventHandler[Any]] = {
    "refund.succeeded": EventHandler(RefundView, on_refund_result),
    "refund.failed": EventHandler(RefundView, on_refund_result),
    "invoice.issued": EventHandler(InvoiceView, on_invoice_issued),
}
