"""The history of an entity over HTTP: a page of its audit rows, the same in every service."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Request, Response
from typing_extensions import TypedDict

from common.access.auth import Caller, Role, allow
from common.audit.actor import ActorType, Trigger
from common.audit.entries import Outcome
from common.audit.history import HistoryFilter, find_history
from common.database.statements import Connection, Record
from common.edge.commands.query import read_page
from common.edge.requests.paging import LargePageQuery
from common.paging import Page, Pagination, Paging


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


def add_history_route(
    router: APIRouter,
    id_name: str,
    entity_type: str,
    require_visible: Callable[[Connection, Caller, UUID], Awaitable[None]],
    *,
    operation_id: str,
    description: str,
) -> None:
    """Add `GET /{id_name}/history`, which every role may call: accepted transitions, or all rows with `include=all`.

    `require_visible` raises `Problem` NOT_FOUND for an entity that the caller may not see.
    """

    async def find(
        connection: Connection, caller: Caller, entity_id: UUID, everything: bool, paging: Paging
    ) -> Page[Record]:
        await require_visible(connection, caller, entity_id)
        return await find_history(connection, entity_type, entity_id, HistoryFilter(everything, paging))

    @router.get(
        f"/{{{id_name}}}/history",
        operation_id=operation_id,
        description=description,
        responses={200: {"model": HistoryResponse}},
    )
    @allow(*Role)
    async def get_history(
        request: Request,
        paging: LargePageQuery,
        entity_id: Annotated[UUID, Path(alias=id_name)],
        include: Literal["all"] | None = None,
    ) -> Response:
        caller, everything = Caller.of(request), include == "all"
        return await read_page(request, find, caller, entity_id, everything, paging=paging, render=_record)


def _record(row: Record) -> dict[str, object]:
    """Details are stored as the text of a JSON object; they are null after their erasure."""
    columns: dict[str, object] = {name: row[name] for name in HistoryRecord.__annotations__ if name != "metadata"}
    return {**columns, "metadata": msgspec.Raw((row["details"] or "{}").encode())}
