"""The route of the inclusion proof of an entity's history, for every service."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import Path, Request, Response

from common.access.auth import Caller
from common.audit.proofs import HistoryProof, prove_history
from common.database.statements import Connection
from common.edge.commands.query import read

DESCRIPTION = """The latest sealed row of the history, the rows before it, and the proof that the log of the latest
checkpoint has it; 404 until it is sealed, which takes some seconds."""


def history_proof_endpoint(
    id_name: str, entity_type: str, require_visible: Callable[[Connection, Caller, UUID], Awaitable[None]]
) -> Callable[..., Awaitable[Response]]:
    """The endpoint of `GET /{id_name}/history/proof`. `require_visible` raises `Problem` NOT_FOUND."""

    async def find(connection: Connection, caller: Caller, entity_id: UUID) -> HistoryProof:
        await require_visible(connection, caller, entity_id)
        return await prove_history(connection, entity_type, entity_id)

    async def get_history_proof(request: Request, entity_id: Annotated[UUID, Path(alias=id_name)]) -> Response:
        return await read(request, find, Caller.of(request), entity_id)

    return get_history_proof
