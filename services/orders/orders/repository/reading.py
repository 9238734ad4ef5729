"""Reading orders: one, a page of many, counts by status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.aggregates.paged_list import PagedList
from sqlalchemy import ColumnElement, DateTime, Text, Uuid, bindparam

from orders.domain import OrderStatus
from orders.repository.rows import ORDERS, number_of_lines
from orders.tables import orders


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Conditions on listed orders; None is no condition. Both ends of the time of creation are included."""

    customer_id: UUID | None = None
    status: OrderStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "customer_id": orders.c.customer_id == bindparam("customer_id", type_=Uuid),
    "status": orders.c.status == bindparam("status", type_=Text),
    "created_from": orders.c.created_at >= bindparam("created_from", type_=DateTime(timezone=True)),
    "created_to": orders.c.created_at <= bindparam("created_to", type_=DateTime(timezone=True)),
}
# An order may have 200 lines: a page of a hundred such orders would be of 20 MB, and take seconds to make (ADR 0021).
LINES_PER_PAGE = 2_000

find = ORDERS.find
is_visible = ORDERS.is_visible
find_page = PagedList(ORDERS, _CONDITIONS, size=number_of_lines, page_size=LINES_PER_PAGE).find_page
