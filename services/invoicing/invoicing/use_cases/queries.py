"""Queries of staff and of clients with a signed link."""

from uuid import UUID

from common.database.statements import Connection
from common.errors import Problem
from common.paging import Page, Paging

from invoicing.domain.invoice import Invoice, InvoiceStatus
from invoicing.repository import reading


async def get_invoice(connection: Connection, invoice_id: UUID) -> Invoice:
    """Raises `Problem` NOT_FOUND."""
    invoice = await reading.find(connection, invoice_id)
    if invoice is None:
        raise Problem.not_found("invoice", invoice_id)
    return invoice


async def list_invoices(
    connection: Connection, order_id: UUID | None, status: InvoiceStatus | None, paging: Paging
) -> Page[Invoice]:
    """Newest first; None does not filter. An order has one invoice at most."""
    if order_id is not None:
        invoice = await reading.find_of_order(connection, order_id)
        matching = [] if invoice is None or status not in (None, invoice.status) else [invoice]
        return Page(matching[paging.offset : paging.offset + paging.limit], len(matching))
    return await reading.find_page(connection, status, paging)
