"""`/api/v1/ops`: the operators' routes, for the role `ops` only, the same in every service."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from common.access.auth import Caller, Role, allow
from common.edge.commands.command import command
from common.edge.commands.query import read, read_page
from common.edge.requests.fields import InDigits, Line, RequestBody
from common.edge.requests.paging import LargePageQuery, PageQuery, list_of
from common.edge.routing.guarded_route import GuardedRoute
from common.edge.state import runtime_of
from common.operators import commands, queries
from common.operators import results as schemas


class JobState(StrEnum):
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


class PoisonState(StrEnum):
    KEPT = "kept"
    REPLAYED = "replayed"


class EventState(StrEnum):
    PENDING = "pending"
    PARKED = "parked"


class ApiKeyCreate(RequestBody):
    name: Line = Field(max_length=255)
    role: Role
    customer_id: UUID | None = None


router = APIRouter(prefix="/ops", route_class=GuardedRoute, tags=["Operations"])


@router.get("/jobs", operation_id="listJobs", responses={200: {"model": list_of(schemas.JobSummary)}})
@allow()
async def list_jobs(
    request: Request,
    paging: PageQuery,
    state: JobState | None = None,
    kind: Annotated[str | None, Query(max_length=100, pattern="^[ -~]*$")] = None,
) -> Response:
    return await read_page(request, queries.list_jobs, state, kind, paging=paging)


@router.get("/jobs/{job_id}", operation_id="getJob", responses={200: {"model": schemas.JobDetail}})
@allow()
async def get_job(request: Request, job_id: UUID) -> Response:
    return await read(request, queries.find_job, job_id)


@router.post("/jobs/{job_id}/replay", operation_id="replayJob", responses={200: {"model": schemas.JobDetail}})
@allow()
async def replay_job(request: Request, job_id: UUID) -> Response:
    async with command(request) as run:
        return await run.answer(await commands.replay_job(run.connection, Caller.of(request).actor, job_id))


@router.get("/poison", operation_id="listPoison", responses={200: {"model": list_of(schemas.PoisonSummary)}})
@allow()
async def list_poison(request: Request, paging: PageQuery, state: PoisonState | None = None) -> Response:
    return await read_page(request, queries.list_poison, state, paging=paging)


@router.get("/poison/{poison_id}", operation_id="getPoison", responses={200: {"model": schemas.PoisonDetail}})
@allow()
async def get_poison(request: Request, poison_id: UUID) -> Response:
    return await read(request, queries.find_poison, poison_id)


@router.post(
    "/poison/{poison_id}/replay", operation_id="replayPoison", responses={200: {"model": schemas.PoisonDetail}}
)
@allow()
async def replay_poison(request: Request, poison_id: UUID) -> Response:
    actor, runtime = Caller.of(request).actor, runtime_of(request)
    async with command(request) as run:
        return await run.answer(await commands.replay_poison(run.connection, actor, runtime, poison_id))


@router.get("/outbox", operation_id="listUnsentEvents", responses={200: {"model": list_of(schemas.UnsentEvent)}})
@allow()
async def list_outbox(request: Request, paging: PageQuery, state: EventState = EventState.PARKED) -> Response:
    return await read_page(request, queries.list_outbox, state, paging=paging)


@router.post("/outbox/{position}/replay", operation_id="replayEvent", responses={200: {"model": schemas.ReplayedEvent}})
@allow()
async def replay_event(request: Request, position: Annotated[int, Path(ge=1, lt=2**63), InDigits]) -> Response:
    async with command(request) as run:
        return await run.answer(await commands.replay_event(run.connection, Caller.of(request).actor, position))


@router.get("/api-keys", operation_id="listApiKeys", responses={200: {"model": list_of(schemas.ApiKeySummary)}})
@allow()
async def list_keys(request: Request, paging: LargePageQuery) -> Response:
    return await read_page(request, queries.list_keys, paging=paging)


@router.post(
    "/api-keys", operation_id="createApiKey", status_code=201, responses={201: {"model": schemas.CreatedApiKey}}
)
@allow()
async def create_key(request: Request, key: ApiKeyCreate) -> Response:
    """`key` is told once, and is null when the answer is replayed: whoever missed it makes another key."""
    actor = Caller.of(request).actor
    async with command(request) as run:
        created = await commands.create_key(run.connection, actor, key.name, key.role, key.customer_id)
        return await run.answer(created, status=201, without_secret=lambda result: {**result, "key": None})


@router.delete("/api-keys/{prefix}", operation_id="revokeApiKey", responses={200: {"model": schemas.RevokedApiKey}})
@allow()
async def revoke_key(request: Request, prefix: Annotated[str, Path(max_length=255, pattern="^[!-~]+$")]) -> Response:
    async with command(request) as run:
        return await run.answer(await commands.revoke_key(run.connection, Caller.of(request).actor, prefix))
