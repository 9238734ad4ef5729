"""The handlers of consumed events: results of refunds, issued invoices."""

from collections.abc import Sequence

from common.database.statements import Connection
from common.messaging.incoming.records import EventHandler, Handlers, Incoming

from orders.events import InvoiceView, RefundView
from orders.repository import invoices
from orders.use_cases.payments import save_refund_result

# The refund of a returned order is stored by the service returns.
_CAUSE_RETURN = "RETURN_COMPLETED"


async def on_refund_result(connection: Connection, events: Sequence[Incoming[RefundView]]) -> None:
    for incoming in events:
        if incoming.data.cause != _CAUSE_RETURN:
            await save_refund_result(connection, incoming.data, incoming.event)


async def on_invoice_issued(connection: Connection, events: Sequence[Incoming[InvoiceView]]) -> None:
    await invoices.save(connection, [(incoming.data, incoming.event) for incoming in events])


EVENT_HANDLERS: Handlers = {
    "refund.succeeded": EventHandler(RefundView, on_refund_result),
    "refund.failed": EventHandler(RefundView, on_refund_result),
    "invoice.issued": EventHandler(InvoiceView, on_invoice_issued),
}
