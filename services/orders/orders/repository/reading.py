"""Orders as clients read them: one, a page of many, how many, and where an invoice is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.aggregates.paged_list import PagedList
from common.database.statements import Connection, Record, prepare
from sqlalchemy import ColumnElement, DateTime, Text, Uuid, bindparam, exists, select

from orders.domain import Order, OrderStatus
from orders.repository.rows import number_of_lines, order_columns, the_visible_order, to_order
from orders.tables import order_counts, order_invoices, orders


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders to list; None is no condition. Both ends of the time of creation are included."""

    customer_id: UUID | None = None
    status: OrderStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def given(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in _CONDITIONS}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the orders that a filter lets through, newest first, and how many it lets through in all."""

    orders: tuple[Order, ...]
    total: int


_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "customer_id": orders.c.customer_id == bindparam("customer_id", type_=Uuid),
    "status": orders.c.status == bindparam("status", type_=Text),
    "created_from": orders.c.created_at >= bindparam("created_from", type_=DateTime(timezone=True)),
    "created_to": orders.c.created_at <= bindparam("created_to", type_=DateTime(timezone=True)),
}
# An order may have 200 lines: a page of a hundred such orders would be of 20 MB, and be made for seconds (ADR 0021).
LINES_PER_PAGE = 2_000
_LIST = PagedList(
    orders, select(*order_columns), _CONDITIONS, order_counts, size=number_of_lines, page_size=LINES_PER_PAGE
)
_FIND = prepare(select(*order_columns).where(the_visible_order))
_IS_VISIBLE = prepare(select(exists().where(the_visible_order)))
_INVOICE = prepare(select(order_invoices).where(order_invoices.c.order_id == bindparam("order_id", type_=Uuid)))


async def find(connection: Connection, order_id: UUID, visible_to: UUID | None) -> Order | None:
    """None as well for an order that is not this customer's; without a customer, every order is found."""
    row = await _FIND.fetch_one(connection, order_id=order_id, visible_to=visible_to)
    return None if row is None else to_order(row)


async def is_visible(connection: Connection, order_id: UUID, visible_to: UUID | None) -> bool:
    """Whether `find` finds it."""
    visible: bool = await _IS_VISIBLE.fetch_value(connection, order_id=order_id, visible_to=visible_to)
    return visible


async def find_invoice(connection: Connection, order_id: UUID) -> Record | None:
    """The row of `order_invoices`; None until the invoice is issued."""
    return await _INVOICE.fetch_one(connection, order_id=order_id)


async def count_by_status(connection: Connection) -> dict[OrderStatus, int]:
    counted = await order_counts.by_status(connection)
    return {status: counted.get(status, 0) for status in OrderStatus}


async def find_page(connection: Connection, wanted: OrderFilter, *, limit: int, offset: int) -> Page:
    rows, total = await _LIST.fetch(connection, wanted.given(), limit=limit, offset=offset)
    return Page(tuple(map(to_order, rows)), total)
