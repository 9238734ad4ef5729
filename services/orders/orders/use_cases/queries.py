"""Queries on orders, limited to what the caller may see."""

from dataclasses import replace
from uuid import UUID

from common.access.auth import Caller
from common.database.statements import Connection, Record
from common.errors import Problem
from common.paging import Page, Paging

from orders.domain.order import Order
from orders.repository import invoices, reading
from orders.repository.reading import OrderFilter, OrderSort


async def get_order(connection: Connection, caller: Caller, order_id: UUID) -> Order:
    order = await reading.find(connection, order_id, caller.bound_to)
    if order is None:
        raise Problem.not_found("order", order_id)
    return order


async def list_orders(
    connection: Connection, caller: Caller, filters: OrderFilter, sort: OrderSort, paging: Paging
) -> Page[Order]:
    """Only the customer's own orders for a client that is bound to a customer."""
    visible = _visible(caller, filters)
    return Page((), 0) if visible is None else await reading.find_page(connection, visible, paging, sort)


async def export_orders(caller: Caller, filters: OrderFilter, connection: Connection, paging: Paging) -> Page[Order]:
    """As `list_orders`, oldest first and without a total."""
    visible = _visible(caller, filters)
    return Page((), 0) if visible is None else await reading.find_uncounted(connection, visible, paging)


def _visible(caller: Caller, filters: OrderFilter) -> OrderFilter | None:
    """None where the caller may see no order."""
    if caller.bound_to is not None and filters.customer_id is None:
        return replace(filters, customer_id=caller.bound_to)
    is_foreign = filters.customer_id is not None and not caller.may_see(filters.customer_id)
    return None if is_foreign else filters


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
