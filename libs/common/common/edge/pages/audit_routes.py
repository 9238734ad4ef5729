"""`/api/v1/audit`: search, export and checkpoints of the audit trail, the same in every service."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Response
from starlette.responses import StreamingResponse
from typing_extensions import TypedDict

from common.access.auth import Caller, Role
from common.audit.actor import ActorType, Trigger
from common.audit.checkpoint import SigningKey
from common.audit.entries import Outcome
from common.audit.export import export_lines
from common.audit.proofs import ConsistencyProof, prove_consistency
from common.audit.search import AuditFilter, search
from common.edge.admission.request_slots import RequestSlots
from common.edge.commands.command import command
from common.edge.commands.query import encode_json, read, read_page
from common.edge.requests.cursor import LONGEST_CURSOR, Cursors, next_link
from common.edge.requests.query import LARGEST_PAGE, CreatedQuery, InDigits, PageQuery
from common.edge.routing.history import HistoryRecord, history_record
from common.edge.routing.router import Router
from common.operators import audit_requests
from common.operators.results import AuditVerification
from common.service import Runtime

NDJSON = "application/x-ndjson"
_LARGEST_SIZE = 2**63 - 1

_Size = Annotated[int, Path(ge=1, le=_LARGEST_SIZE, description="The number of leaves of a checkpoint."), InDigits]


class AuditPagination(TypedDict):
    limit: int
    has_more: bool
    next_cursor: str | None


class AuditListResponse(TypedDict):
    data: list[HistoryRecord]
    pagination: AuditPagination


def _filter(
    created: CreatedQuery,
    entity_type: Annotated[
        str | None, Query(max_length=100, pattern="^[ -~]*$", description="Such as ORDER, JOB or API_KEY.")
    ] = None,
    entity_id: Annotated[UUID | None, Query(description="The object that was changed.")] = None,
    actor_id: Annotated[UUID | None, Query(description="Who made the change; rows of 0.1 have a name instead.")] = None,
    actor_type: Annotated[ActorType | None, Query(description="A person's or program's key, or the system.")] = None,
    new_state: Annotated[
        str | None, Query(max_length=100, pattern="^[ -~]*$", description="The state that was requested.")
    ] = None,
    outcome: Annotated[Outcome | None, Query(description="Whether the change was accepted.")] = None,
    trigger: Annotated[Trigger | None, Query(description="What caused the change.")] = None,
) -> AuditFilter:
    return AuditFilter(
        *(entity_type, entity_id, actor_id, actor_type, new_state, outcome, trigger),
        *(created.earliest, created.latest),
    )


router = Router("/audit", tag="Operations")
verification_router = Router("/ops/audit-verifications", tag="Operations")


@router.route("GET", "", roles=[Role.MANAGER], returns=AuditListResponse, operation_id="searchAudit")
async def search_audit(
    request: Request,
    filters: Annotated[AuditFilter, Depends(_filter)],
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="The most rows of a page."), InDigits] = 20,
    cursor: Annotated[
        str | None, Query(max_length=LONGEST_CURSOR, description="`pagination.next_cursor` of the page before.")
    ] = None,
) -> Response:
    """Accepted and refused changes of all entities of this service, newest first. Pages are read by cursor only, and
    the rows are not counted."""
    cursors = Cursors(request)
    after = cursors.parse(cursor)[1] if cursor else None
    async with Runtime.of(request).reading() as connection:
        rows, end = await search(connection, filters, limit, after)
    next_cursor = None if end is None else cursors.issue(0, end)
    pagination = {"limit": limit, "has_more": end is not None, "next_cursor": next_cursor}
    document = {"data": [history_record(row) for row in rows], "pagination": pagination}
    headers = {} if next_cursor is None else {"Link": next_link(request, next_cursor)}
    return Response(encode_json(document), headers=headers, media_type="application/json")


@router.route(
    "GET",
    "/export",
    roles=[Role.MANAGER],
    operation_id="exportAudit",
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {"schema": {"type": "string"}}}, "description": "Lines of JSON."}},
)
async def export_audit(
    request: Request,
    include: Annotated[
        Literal["details"] | None, Query(description="Adds texts and addresses, which may be personal data.")
    ] = None,
) -> Response:
    """The whole audit trail with the leaves and the latest checkpoint of its log, for `examples/verify_audit.py`.

    `include=details` adds texts and addresses, which may be personal data, with the salts of their digests.
    """
    runtime = Runtime.of(request)
    key = SigningKey.of(runtime.settings)
    public_key = None if key is None else key.public
    lines = export_lines(runtime.pool, runtime.service.name, public_key, with_details=include == "details")
    request.scope["is_stream"] = True
    parts = _in_a_place(request, lines)
    # Before the response begins, so that a refusal or an unavailable database has a normal error.
    first = await anext(parts)
    if request.method == "HEAD":
        await parts.aclose()
        return Response(media_type=NDJSON)
    return StreamingResponse(_beginning_with(first, parts), media_type=NDJSON)


async def _in_a_place(request: Request, lines: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Raises `Problem` UNAVAILABLE while too many exports run."""
    slots: RequestSlots = request.app.state.audit_export_slots
    with slots.one_for(Caller.of(request)):
        async for part in lines:
            yield part


async def _beginning_with(first: bytes, parts: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    async with aclosing(parts):
        yield first
        async for part in parts:
            yield part


@router.route(
    "GET",
    "/checkpoints/{size}/consistency",
    roles=[Role.MANAGER],
    returns=ConsistencyProof,
    operation_id="proveAuditConsistency",
)
async def prove_audit_consistency(
    request: Request,
    size: _Size,
    later: Annotated[
        int | None,
        Query(ge=1, le=_LARGEST_SIZE, description="The size of a later checkpoint; default: the latest."),
        InDigits,
    ] = None,
) -> Response:
    """The proof that the log of the checkpoint of this size is the beginning of a later checkpoint's, or of the latest
    one's."""
    return await read(request, prove_consistency, size, later)


@verification_router.route("GET", "", roles=[Role.OPS], lists=AuditVerification, operation_id="listAuditVerifications")
async def list_verifications(request: Request, paging: PageQuery) -> Response:
    """Verifications of the whole audit trail by the role `relay`, the latest first, with what each found."""
    return await read_page(request, audit_requests.list_verifications, paging=paging)


@verification_router.route(
    "POST", "", roles=[Role.OPS], returns=AuditVerification, status=202, operation_id="requestAuditVerification"
)
async def request_verification(request: Request) -> Response:
    """The role `relay` starts it within seconds."""
    actor = Caller.of(request).actor
    async with command(request) as run:
        return await run.answer(await audit_requests.request_verification(run.connection, actor), status=202)
