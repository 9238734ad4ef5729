"""The history of an entity over HTTP: a page of its audit rows, the same in every service."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVarTuple
from uuid import UUID

import msgspec
from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from common.audit.actor import ActorType, Trigger
from common.audit.entries import Outcome
from common.audit.history import HistoryFilter
from common.database.statements import Connection, Record
from common.database.transactions import reading
from common.edge.commands.perform import json_response
from common.edge.requests.paging import LargePageQuery
from common.edge.state import runtime_of
from common.paging import Page, Pagination, list_document

Arguments = TypeVarTuple("Arguments")


class HistoryRecord(TypedDict):
    id: UUID
    entity_type: str
    entity_id: UUID
    previous_state: str | None
    new_state: str
    outcome: Outcome
    actor_id: str | None
    actor_type: ActorType
    trigger: Trigger
    metadata: dict[str, Any]
    ip_address: str | None
    created_at: datetime


class HistoryResponse(TypedDict):
    data: list[HistoryRecord]
    pagination: Pagination


def _history_query(paging: LargePageQuery, include: Literal["all"] | None = None) -> HistoryFilter:
    return HistoryFilter(include == "all", paging)


# Parameters of an endpoint: `include=all`, `limit` and `offset`. An entity's accepted transitions fit into one page.
HistoryQuery = Annotated[HistoryFilter, Depends(_history_query)]


async def read_history(
    request: Request,
    query: Callable[[Connection, *Arguments, HistoryFilter], Awaitable[Page[Record]]],
    *arguments: *Arguments,
    selection: HistoryFilter,
) -> Response:
    """As `read_page`, for a page of a history."""
    async with reading(runtime_of(request).pool) as connection:
        page = await query(connection, *arguments, selection)
    return json_response(list_document(page, selection.paging, _record))


def _record(row: Record) -> dict[str, object]:
    """Details are stored as the text of a JSON object; they are null after their erasure."""
    columns: dict[str, object] = {name: row[name] for name in HistoryRecord.__annotations__ if name != "metadata"}
    return {**columns, "metadata": msgspec.Raw((row["details"] or "{}").encode())}
