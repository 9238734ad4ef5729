"""Reading returns: one, a page of many, counts by status."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.aggregates.paged_list import PagedList
from sqlalchemy import ColumnElement, DateTime, Text, Uuid, bindparam

from returns.domain import ReturnStatus
from returns.repository.rows import RETURNS
from returns.tables import returns


@dataclass(frozen=True, slots=True)
class ReturnFilter:
    """Conditions on listed returns; None is no condition. Both ends of the time of creation are included."""

    customer_id: UUID | None = None
    order_id: UUID | None = None
    status: ReturnStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "customer_id": returns.c.customer_id == bindparam("customer_id", type_=Uuid),
    "order_id": returns.c.order_id == bindparam("order_id", type_=Uuid),
    "status": returns.c.status == bindparam("status", type_=Text),
    "created_from": returns.c.created_at >= bindparam("created_from", type_=DateTime(timezone=True)),
    "created_to": returns.c.created_at <= bindparam("created_to", type_=DateTime(timezone=True)),
}

find = RETURNS.find
is_visible = RETURNS.is_visible
find_page = PagedList(RETURNS, _CONDITIONS).find_page
