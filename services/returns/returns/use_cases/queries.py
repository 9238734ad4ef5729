"""Queries on returns, limited to what the caller may see."""

from dataclasses import replace
from uuid import UUID

from common.access.auth import Caller
from common.database.statements import Connection
from common.errors import Problem
from common.paging import Page, Paging

from returns.domain.return_ import Return
from returns.repository import reading
from returns.repository.reading import ReturnFilter, ReturnSort


async def get_return(connection: Connection, caller: Caller, return_id: UUID) -> Return:
    value = await reading.find(connection, return_id, caller.bound_to)
    if value is None:
        raise Problem.not_found("return", return_id)
    return value


async def list_returns(
    connection: Connection, caller: Caller, filters: ReturnFilter, sort: ReturnSort, paging: Paging
) -> Page[Return]:
    """Only the customer's own returns for a client that is bound to a customer."""
    filters = replace(filters, customer_id=caller.bound_to)
    return await reading.find_page(connection, filters, paging, sort)


async def export_returns(caller: Caller, filters: ReturnFilter, connection: Connection, paging: Paging) -> Page[Return]:
    """As `list_returns`, oldest first and without a total."""
    filters = replace(filters, customer_id=caller.bound_to)
    return await reading.find_uncounted(connection, filters, paging)


async def require_visible(connection: Connection, caller: Caller, return_id: UUID) -> None:
    """Raises `Problem` NOT_FOUND, also for a return of another customer."""
    if not await reading.is_visible(connection, return_id, caller.bound_to):
        raise Problem.not_found("return", return_id)
