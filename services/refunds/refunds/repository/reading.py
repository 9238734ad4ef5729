"""Reading refunds: one, or a page of many."""

from dataclasses import dataclass
from uuid import UUID

from common.aggregates.paged_list import PagedList

from refunds.domain.refund import RefundStatus
from refunds.repository.rows import REFUNDS


@dataclass(frozen=True, slots=True)
class RefundFilter:
    """Conditions on listed refunds; None is no condition."""

    order_id: UUID | None = None
    return_id: UUID | None = None
    status: RefundStatus | None = None


find = REFUNDS.find
get = REFUNDS.get
find_page = PagedList(REFUNDS, RefundFilter).find_page
