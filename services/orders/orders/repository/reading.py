"""Reading orders: one, a page of many, counts by status."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.aggregates.paged_list import PagedList
from common.database.statements import Connection, Record, prepare
from sqlalchemy import Text, Uuid, bindparam, select

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
_BY_EXTERNAL_ID = prepare(
    select(orders.c.id, orders.c.order_number).where(
        orders.c.external_id == bindparam("external_id", type_=Text),
        orders.c.external_id_owner == bindparam("owner", type_=Uuid),
    )
)


async def find_by_external_id(connection: Connection, external_id: str, owner: UUID) -> Record | None:
    """`id` and `order_number` of the owner's order."""
    return await _BY_EXTERNAL_ID.fetch_one(connection, external_id=external_id, owner=owner)
