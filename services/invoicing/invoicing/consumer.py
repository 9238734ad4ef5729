"""The handlers of consumed events: an invoice is opened for each shipped order; a missing result is sent again."""

from collections.abc import Sequence
from uuid import UUID

from common.database.statements import Connection
from common.messaging.incoming.records import EventHandler, Handlers, Incoming
from common.reconciliation.reports import DISCREPANCY, DiscrepancyView

from invoicing.domain.numbering import UTC_CALENDAR, SellerCalendar
from invoicing.domain.snapshot import Seller
from invoicing.events import OrderShippedView
from invoicing.use_cases.opening import open_invoices
from invoicing.use_cases.results import publish_result_again


async def on_discrepancy(connection: Connection, events: Sequence[Incoming[DiscrepancyView]]) -> None:
    for incoming in events:
        if incoming.data.check == "invoice_missing":
            order_id = UUID(incoming.data.details["order_id"])
            await publish_result_again(connection, order_id, incoming.event.new_actor())


def event_handlers(seller: Seller, calendar: SellerCalendar = UTC_CALENDAR) -> Handlers:
    """New invoices are in the name of the `seller` and dated by the seller's `calendar`."""

    async def on_order_shipped(connection: Connection, events: Sequence[Incoming[OrderShippedView]]) -> None:
        orders = [(incoming.data, incoming.event.new_actor()) for incoming in events]
        await open_invoices(connection, seller, orders, calendar)

    return {
        "order.shipped": EventHandler(OrderShippedView, on_order_shipped),
        DISCREPANCY: EventHandler(DiscrepancyView, on_discrepancy),
    }
