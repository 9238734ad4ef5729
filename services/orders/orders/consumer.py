"""The handlers of consumed events: states of refunds, disputes of payments, issued invoices."""

from collections.abc import Sequence

from common.database.statements import Connection
from common.messaging.incoming.records import EventHandler, Handlers, Incoming

from orders.repository import invoices
from orders.use_cases.refunds import note_dispute, save_refund
from orders.views import DISPUTES, OF_REFUND, DisputeView, InvoiceView, RefundView

# The refund of a returned order is stored by the service returns.
_CAUSE_RETURN = "RETURN_COMPLETED"


async def on_refund(connection: Connection, events: Sequence[Incoming[RefundView]]) -> None:
    for incoming in events:
        if incoming.data.cause != _CAUSE_RETURN:
            await save_refund(connection, incoming.data, incoming.event)


async def on_dispute(connection: Connection, events: Sequence[Incoming[DisputeView]]) -> None:
    for incoming in events:
        await note_dispute(connection, incoming.data, incoming.event)


async def on_invoice_issued(connection: Connection, events: Sequence[Incoming[InvoiceView]]) -> None:
    await invoices.save(connection, [(incoming.data, incoming.event) for incoming in events])


EVENT_HANDLERS: Handlers = {
    **dict.fromkeys(OF_REFUND, EventHandler(RefundView, on_refund)),
    **dict.fromkeys(DISPUTES, EventHandler(DisputeView, on_dispute)),
    "invoice.issued": EventHandler(InvoiceView, on_invoice_issued),
}
