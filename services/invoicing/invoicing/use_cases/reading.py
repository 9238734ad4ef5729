"""What staff and holders of a link ask of invoices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.database.statements import Connection
from common.errors import not_found

from invoicing import repository
from invoicing.domain import Invoice, InvoiceStatus


@dataclass(frozen=True, slots=True)
class InvoicePage:
    invoices: list[Invoice]
    total: int


async def get_invoice(connection: Connection, invoice_id: UUID) -> Invoice:
    """Raises `Problem` NOT_FOUND."""
    invoice = await repository.find(connection, invoice_id)
    if invoice is None:
        raise not_found("invoice", invoice_id)
    return invoice


async def list_invoices(
    connection: Connection, order_id: UUID | None, status: InvoiceStatus | None, *, limit: int, offset: int
) -> InvoicePage:
    """Newest first; None does not filter. An order has one invoice at most."""
    if order_id is not None:
        invoice = await repository.find_of_order(connection, order_id)
        matching = [] if invoice is None or status not in (None, invoice.status) else [invoice]
        return InvoicePage(matching[offset : offset + limit], len(matching))
    return InvoicePage(*await repository.find_page(connection, status, limit=limit, offset=offset))


async def count_invoices(connection: Connection) -> Mapping[str, Any]:
    """For the JSON metrics."""
    counts = await repository.count_by_status(connection)
    return {"invoices": {"total": sum(counts.values()), "by_status": counts}}
