"""Queries on returns, limited to what the caller may see."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from common.access.auth import Caller
from common.audit.history import HistoryFilter, find_history
from common.database.statements import Connection, Record
from common.errors import not_found
from common.paging import Page, Paging

from returns.domain import Return
from returns.repository import reading
from returns.repository.reading import ReturnFilter
from returns.tables import ENTITY


async def get_return(connection: Connection, caller: Caller, return_id: UUID) -> Return:
    value = await reading.find(connection, return_id, caller.bound_to)
    if value is None:
        raise not_found("return", return_id)
    return value


async def list_returns(connection: Connection, caller: Caller, filters: ReturnFilter, paging: Paging) -> Page[Return]:
    """Newest first; only the customer's own returns for a client that is bound to a customer."""
    filters = replace(filters, customer_id=caller.bound_to)
    return await reading.find_page(connection, filters, paging)


async def get_history(connection: Connection, caller: Caller, return_id: UUID, filters: HistoryFilter) -> Page[Record]:
    if not await reading.is_visible(connection, return_id, caller.bound_to):
        raise not_found("return", return_id)
    return await find_history(connection, ENTITY, return_id, filters)


async def count_returns(connection: Connection) -> dict[str, Any]:
    """The counts in the JSON metrics."""
    by_status = await reading.count_by_status(connection)
    return {"returns": {"total": sum(by_status.values()), "by_status": by_status}}
