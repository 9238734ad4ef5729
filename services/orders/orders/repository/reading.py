"""Reading orders: one, a page of many, counts by status."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.aggregates.paged_list import PagedList

from orders.domain.states import OrderStatus
from orders.repository.rows import ORDERS, number_of_lines


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Conditions on listed orders; None is no condition. Both ends of the time of creation are included."""

    customer_id: UUID | None = None
    status: OrderStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


# An order may have 200 lines: a page of a hundred such orders would be of 20 MB, and take seconds to make (ADR 21).
LINES_PER_PAGE = 2_000

find = ORDERS.find
is_visible = ORDERS.is_visible
find_page = PagedList(ORDERS, OrderFilter, size=number_of_lines, page_size=LINES_PER_PAGE).find_page
