"""Reading refunds: one, or a page of many."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from common.aggregates.paged_list import PagedList
from sqlalchemy import ColumnElement, Text, Uuid, bindparam

from refunds.domain import RefundStatus
from refunds.repository.rows import REFUNDS
from refunds.tables import refunds


@dataclass(frozen=True, slots=True)
class RefundFilter:
    """Conditions on listed refunds; None is no condition."""

    order_id: UUID | None = None
    return_id: UUID | None = None
    status: RefundStatus | None = None


_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "order_id": refunds.c.order_id == bindparam("order_id", type_=Uuid),
    "return_id": refunds.c.return_id == bindparam("return_id", type_=Uuid),
    "status": refunds.c.status == bindparam("status", type_=Text),
}

find = REFUNDS.find
get = REFUNDS.get
find_page = PagedList(REFUNDS, _CONDITIONS).find_page
