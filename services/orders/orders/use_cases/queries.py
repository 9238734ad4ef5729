"""Queries on orders, limited to what the caller may see."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from common.access.auth import Caller
from common.audit.history import HistoryFilter, find_history
from common.database.statements import Connection, Record
from common.errors import not_found
from common.paging import Page, Paging

from orders.domain import Order
from orders.repository import invoices, reading
from orders.repository.reading import OrderFilter
from orders.tables import ENTITY


async def get_order(connection: Connection, caller: Caller, order_id: UUID) -> Order:
    order = await reading.find(connection, order_id, caller.bound_to)
    if order is None:
        raise not_found("order", order_id)
    return order


async def list_orders(connection: Connection, caller: Caller, filters: OrderFilter, paging: Paging) -> Page[Order]:
    """Newest first; only the customer's own orders for a client that is bound to a customer."""
    if caller.bound_to is not None and filters.customer_id is None:
        filters = replace(filters, customer_id=caller.bound_to)
    if filters.customer_id is not None and not caller.may_see(filters.customer_id):
        return Page((), 0)
    return await reading.find_page(connection, filters, paging)


async def count_orders(connection: Connection) -> dict[str, Any]:
    """The counts in the JSON metrics."""
    by_status = await reading.count_by_status(connection)
    return {"orders": {"total": sum(by_status.values()), "by_status": by_status}}


async def get_history(connection: Connection, caller: Caller, order_id: UUID, filters: HistoryFilter) -> Page[Record]:
    await _require_visible(connection, caller, order_id)
    return await find_history(connection, ENTITY, order_id, filters)


async def get_invoice(connection: Connection, caller: Caller, order_id: UUID) -> Record:
    """Raises `Problem` NOT_FOUND for the order, and for its invoice until it is issued."""
    await _require_visible(connection, caller, order_id)
    invoice = await invoices.find(connection, order_id)
    if invoice is None:
        raise not_found("invoice of order", order_id)
    return invoice


async def _require_visible(connection: Connection, caller: Caller, order_id: UUID) -> None:
    if not await reading.is_visible(connection, order_id, caller.bound_to):
        raise not_found("order", order_id)
