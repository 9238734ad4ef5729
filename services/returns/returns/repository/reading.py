"""Returns as clients read them: one, a page of many, and how many."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.aggregates.paged_list import PagedList
from common.database.statements import Connection, prepare
from sqlalchemy import ColumnElement, DateTime, Text, Uuid, bindparam, exists, select

from returns.domain import Return, ReturnStatus
from returns.repository.rows import the_visible_return, to_return
from returns.tables import return_counts, returns


@dataclass(frozen=True, slots=True)
class ReturnFilter:
    """Which returns to list; None is no condition. Both ends of the time of creation are included."""

    customer_id: UUID | None = None
    order_id: UUID | None = None
    status: ReturnStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def given(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in _CONDITIONS}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the returns that a filter lets through, newest first, and how many it lets through in all."""

    returns: tuple[Return, ...]
    total: int


_CONDITIONS: Mapping[str, ColumnElement[bool]] = {
    "customer_id": returns.c.customer_id == bindparam("customer_id", type_=Uuid),
    "order_id": returns.c.order_id == bindparam("order_id", type_=Uuid),
    "status": returns.c.status == bindparam("status", type_=Text),
    "created_from": returns.c.created_at >= bindparam("created_from", type_=DateTime(timezone=True)),
    "created_to": returns.c.created_at <= bindparam("created_to", type_=DateTime(timezone=True)),
}
_LIST = PagedList(returns, select(returns), _CONDITIONS, return_counts)
_FIND = prepare(select(returns).where(the_visible_return))
_IS_VISIBLE = prepare(select(exists().where(the_visible_return)))


async def find(connection: Connection, return_id: UUID, visible_to: UUID | None) -> Return | None:
    """None as well for a return that is not this customer's; without a customer, every return is found."""
    row = await _FIND.fetch_one(connection, return_id=return_id, visible_to=visible_to)
    return None if row is None else to_return(row)


async def is_visible(connection: Connection, return_id: UUID, visible_to: UUID | None = None) -> bool:
    """Whether `find` finds it."""
    visible: bool = await _IS_VISIBLE.fetch_value(connection, return_id=return_id, visible_to=visible_to)
    return visible


async def count_by_status(connection: Connection) -> dict[ReturnStatus, int]:
    counted = await return_counts.by_status(connection)
    return {status: counted.get(status, 0) for status in ReturnStatus}


async def find_page(connection: Connection, wanted: ReturnFilter, *, limit: int, offset: int) -> Page:
    rows, total = await _LIST.fetch(connection, wanted.given(), limit=limit, offset=offset)
    return Page(tuple(map(to_return, rows)), total)
