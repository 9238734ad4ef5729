"""The history of an entity over HTTP: a page of its audit rows, the same in every service."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import Path, Query, Request, Response
from typing_extensions import TypedDict

from common.access.actors import recorded_actor
from common.access.auth import Caller
from common.audit.actor import ActorType, Trigger
from common.audit.entries import Outcome, find_history
from common.database.statements import Connection, Record
from common.edge.commands.query import read_page
from common.edge.requests.query import LargePageQuery
from common.paging import Page, Pagination, Paging


class HistoryRecord(TypedDict):
    id: UUID
    entity_type: str
    entity_id: UUID
    previous_state: str | None
    new_state: str
    outcome: Outcome
    actor_id: UUID | None
    actor_type: ActorType
    trigger: Trigger
    metadata: dict[str, Any]
    ip_address: str | None
    created_at: datetime


class HistoryResponse(TypedDict):
    data: list[HistoryRecord]
    pagination: Pagination


def history_endpoint(
    id_name: str, entity_type: str, require_visible: Callable[[Connection, Caller, UUID], Awaitable[None]]
) -> Callable[..., Awaitable[Response]]:
    """The endpoint of `GET /{id_name}/history`. `require_visible` raises `Problem` NOT_FOUND."""

    async def find(
        connection: Connection, caller: Caller, entity_id: UUID, everything: bool, paging: Paging
    ) -> Page[Record]:
        await require_visible(connection, caller, entity_id)
        return await find_history(connection, entity_type, entity_id, paging, everything=everything)

    async def get_history(
        request: Request,
        paging: LargePageQuery,
        entity_id: Annotated[UUID, Path(alias=id_name)],
        include: Annotated[
            Literal["all"] | None, Query(description="`all`: also the creation and the refused attempts.")
        ] = None,
    ) -> Response:
        caller, everything = Caller.of(request), include == "all"
        return await read_page(request, find, caller, entity_id, everything, paging=paging, render=history_record)

    return get_history


def history_record(row: Record) -> dict[str, object]:
    """Details are stored as the text of a JSON object; they are null after their erasure."""
    columns: dict[str, object] = {name: row[name] for name in HistoryRecord.__annotations__ if name != "metadata"}
    actor_id, former_name = recorded_actor(row["actor_id"], row["actor_type"])
    metadata: object = msgspec.Raw((row["details"] or "{}").encode())
    if former_name is not None and row["details"] is not None:
        metadata = {"actor_name": former_name, **msgspec.json.decode(row["details"])}
    return {**columns, "actor_id": actor_id, "metadata": metadata}
