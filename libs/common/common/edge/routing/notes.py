"""Internal notes on an entity over HTTP, for staff: written and listed, the same in every service."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import Field
from typing_extensions import TypedDict

from common.access.auth import Caller
from common.aggregates.notes import Notes
from common.database.statements import Connection, Record
from common.edge.commands.command import command
from common.edge.commands.query import read_page
from common.edge.requests.fields import Lines, RequestBody
from common.edge.requests.query import PageQuery
from common.paging import Page, Paging


class NoteCreate(RequestBody):
    text: Lines = Field(max_length=2000)


class NoteResponse(TypedDict):
    id: UUID
    entity_id: UUID
    text: str
    actor_id: UUID | None
    actor_name: str
    created_at: datetime


RequireVisible = Callable[[Connection, Caller, UUID], Awaitable[None]]
Endpoint = Callable[..., Awaitable[Response]]


def note_endpoints(id_name: str, notes: Notes, require_visible: RequireVisible) -> tuple[Endpoint, Endpoint]:
    """The endpoints of `POST` and `GET /{id_name}/notes`. `require_visible` raises `Problem` NOT_FOUND."""

    async def add_note(request: Request, entity_id: Annotated[UUID, Path(alias=id_name)], body: NoteCreate) -> Response:
        caller = Caller.of(request)
        async with command(request) as run:
            await require_visible(run.connection, caller, entity_id)
            note = await notes.add(run.connection, entity_id, caller.actor, body.text)
            return await run.answer(note, status=201)

    async def find(connection: Connection, caller: Caller, entity_id: UUID, paging: Paging) -> Page[Record]:
        await require_visible(connection, caller, entity_id)
        return await notes.find_page(connection, entity_id, paging)

    async def list_notes(
        request: Request, paging: PageQuery, entity_id: Annotated[UUID, Path(alias=id_name)]
    ) -> Response:
        return await read_page(request, find, Caller.of(request), entity_id, paging=paging, render=_response)

    return add_note, list_notes


def _response(note: Record) -> dict[str, object]:
    return {name: note[name] for name in NoteResponse.__annotations__}
