"""Reading returns: one, a page of many, counts by status."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.aggregates.paged_list import PagedList

from returns.domain.return_ import ReturnStatus
from returns.repository.rows import RETURNS


@dataclass(frozen=True, slots=True)
class ReturnFilter:
    """Conditions on listed returns; None is no condition. Both ends of the time of creation are included."""

    customer_id: UUID | None = None
    order_id: UUID | None = None
    status: ReturnStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


find = RETURNS.find
is_visible = RETURNS.is_visible
find_page = PagedList(RETURNS, ReturnFilter).find_page
