"""Returns as a caller may see them."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from common.access.auth import Caller
from common.audit.trail import HistoryPage, HistoryWanted, find_history
from common.database.statements import Connection
from common.errors import not_found

from returns.domain import Return
from returns.repository import reading
from returns.repository.reading import Page, ReturnFilter
from returns.tables import ENTITY
from returns.use_cases.visibility import bound_to


async def get_return(connection: Connection, caller: Caller, return_id: UUID) -> Return:
    found = await reading.find(connection, return_id, bound_to(caller))
    if found is None:
        raise not_found("return", return_id)
    return found


async def list_returns(
    connection: Connection, caller: Caller, wanted: ReturnFilter, *, limit: int, offset: int
) -> Page:
    """Newest first; of a client that is bound to a customer, only that customer's."""
    wanted = replace(wanted, customer_id=bound_to(caller))
    return await reading.find_page(connection, wanted, limit=limit, offset=offset)


async def get_history(connection: Connection, caller: Caller, return_id: UUID, wanted: HistoryWanted) -> HistoryPage:
    if not await reading.is_visible(connection, return_id, bound_to(caller)):
        raise not_found("return", return_id)
    return await find_history(connection, ENTITY, return_id, wanted)


async def count_returns(connection: Connection) -> dict[str, Any]:
    """Of all returns, for the JSON metrics."""
    by_status = await reading.count_by_status(connection)
    return {"returns": {"total": sum(by_status.values()), "by_status": by_status}}
