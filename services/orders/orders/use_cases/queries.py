"""Queries on orders, limited to what the caller may see."""

from dataclasses import replace
from uuid import UUID

from common.access.auth import Caller
from common.database.statements import Connection, Record
from common.errors import Problem
from common.paging import Page, Paging

from orders.domain.order import Order
from orders.repository import invoices, reading
from orders.repository.reading import OrderFilter


async def get_order(connection: Connection, caller: Caller, order_id: UUID) -> Order:
    order = await reading.find(connection, order_id, caller.bound_to)
    if order is None:
        raise Problem.not_found("order", order_id)
    return order


async def list_orders(connection: Connection, caller: Caller, filters: OrderFilter, paging: Paging) -> Page[Order]:
    """Newest first; only the customer's own orders for a client that is bound to a customer."""
    if caller.bound_to is not None and filters.customer_id is None:
        filters = replace(filters, customer_id=caller.bound_to)
    if filters.customer_id is not None and not caller.may_see(filters.customer_id):
        return Page((), 0)
    return await reading.find_page(connection, filters, paging)


async def get_invoice(connection: Connection, caller: Caller, order_id: UUID) -> Record:
    """Raises `Problem` NOT_FOUND for the order, and for its invoice until it is issued."""
    await require_visible(connection, caller, order_id)
    invoice = await invoices.find(connection, order_id)
    if invoice is None:
        raise Problem.not_found("invoice of order", order_id)
    return invoice


async def require_visible(connection: Connection, caller: Caller, order_id: UUID) -> None:
    """Raises `Problem` NOT_FOUND, also for an order of another customer."""
    if not await reading.is_visible(connection, order_id, caller.bound_to):
        raise Problem.not_found("order", order_id)
