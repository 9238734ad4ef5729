"""Reading orders: one, a page of many, counts by status."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.aggregates.paged_list import PagedList
from common.database.statements import Connection, Record, prepare
from common.paging import Page
from sqlalchemy import DateTime, Integer, Text, Uuid, bindparam, func, or_, select

from orders.domain.states import OrderStatus
from orders.repository.rows import ORDERS, size_in_lines
from orders.tables import orders


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Conditions on listed orders; None is no condition. Both ends of the time of creation are included."""

    customer_id: UUID | None = None
    status: OrderStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


# An order may have 200 lines, and metadata of 100 kB: a page of a hundred such orders would be of 30 MB, and take
# seconds to make (ADR 21).
LINES_PER_PAGE = 2_000

find = ORDERS.find
is_visible = ORDERS.is_visible
find_page = PagedList(ORDERS, OrderFilter, size=size_in_lines, page_size=LINES_PER_PAGE).find_page
_CONDITIONS = {
    "customer_id": orders.c.customer_id == bindparam("customer_id", type_=Uuid),
    "status": orders.c.status == bindparam("status", type_=Text),
    "created_from": orders.c.created_at >= bindparam("created_from", type_=DateTime(timezone=True)),
    "created_to": orders.c.created_at <= bindparam("created_to", type_=DateTime(timezone=True)),
}
_matches = [
    or_(bindparam(name, type_=condition.right.type).is_(None), condition) for name, condition in _CONDITIONS.items()
]
_matching = select(func.count()).select_from(orders).where(*_matches).scalar_subquery()
_SELECT = prepare(
    select(orders.c.id, orders.c.status, orders.c.version, _matching.label("matched"))
    .where(*_matches)
    .order_by(orders.c.created_at, orders.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_BY_EXTERNAL_ID = prepare(
    select(orders.c.id, orders.c.order_number).where(
        orders.c.external_id == bindparam("external_id", type_=Text),
        orders.c.external_id_owner == bindparam("owner", type_=Uuid),
    )
)


async def find_by_external_id(connection: Connection, external_id: str, owner: UUID) -> Record | None:
    """`id` and `order_number` of the owner's order."""
    return await _BY_EXTERNAL_ID.fetch_one(connection, external_id=external_id, owner=owner)


async def select_oldest(connection: Connection, filters: OrderFilter, limit: int) -> Page[Record]:
    """`id`, `status` and `version` of the oldest orders that match, and the number of all that do."""
    values = {name: getattr(filters, name) for name in _CONDITIONS}
    rows = await _SELECT.fetch_all(connection, **values, limit=limit)
    return Page(rows, rows[0]["matched"] if rows else 0)
