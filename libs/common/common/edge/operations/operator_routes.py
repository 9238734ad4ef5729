"""`/api/v1/ops`: for the role `ops` only, the same in every service."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from common.access.auth import Role, allow
from common.edge.operations import operator_schemas as schemas
from common.edge.requests.fields import InDigits, Limit, Line, Offset, RequestBody
from common.edge.routing.http import GuardedRoute, caller_of, perform, read
from common.operators import commands as operator_commands
from common.operators import queries as operator_queries
from common.service import Runtime


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


def operator_router(runtime: Runtime[Any]) -> APIRouter:
    router = APIRouter(prefix="/ops", route_class=GuardedRoute, tags=["Operations"])

    @router.get("/jobs", operation_id="listJobs", responses={200: {"model": schemas.JobListResponse}})
    @allow()
    async def list_jobs(
        request: Request,
        state: JobState | None = None,
        kind: Annotated[str | None, Query(max_length=100, pattern="^[ -~]*$")] = None,
        limit: Limit = 20,
        offset: Offset = 0,
    ) -> Response:
        return await read(
            request,
            lambda connection: operator_queries.list_jobs(
                connection, state=state, kind=kind, limit=limit, offset=offset
            ),
        )

    @router.get("/jobs/{job_id}", operation_id="getJob", responses={200: {"model": schemas.JobDetail}})
    @allow()
    async def get_job(request: Request, job_id: UUID) -> Response:
        return await read(request, lambda connection: operator_queries.find_job(connection, job_id))

    @router.post("/jobs/{job_id}/replay", operation_id="replayJob", responses={200: {"model": schemas.JobDetail}})
    @allow()
    async def replay_job(request: Request, job_id: UUID) -> Response:
        actor = caller_of(request).actor
        return await perform(request, lambda connection: operator_commands.replay_job(connection, actor, job_id))

    @router.get("/poison", operation_id="listPoison", responses={200: {"model": schemas.PoisonListResponse}})
    @allow()
    async def list_poison(
        request: Request, state: PoisonState | None = None, limit: Limit = 20, offset: Offset = 0
    ) -> Response:
        return await read(
            request,
            lambda connection: operator_queries.list_poison(connection, state=state, limit=limit, offset=offset),
        )

    @router.get("/poison/{poison_id}", operation_id="getPoison", responses={200: {"model": schemas.PoisonDetail}})
    @allow()
    async def get_poison(request: Request, poison_id: UUID) -> Response:
        return await read(request, lambda connection: operator_queries.find_poison(connection, poison_id))

    @router.post(
        "/poison/{poison_id}/replay", operation_id="replayPoison", responses={200: {"model": schemas.PoisonDetail}}
    )
    @allow()
    async def replay_poison(request: Request, poison_id: UUID) -> Response:
        actor, consumer = caller_of(request).actor, runtime.service.name
        handlers = runtime.service.event_handlers(runtime)
        return await perform(
            request,
            lambda connection: operator_commands.replay_poison(connection, actor, consumer, handlers, poison_id),
        )

    @router.get("/outbox", operation_id="listUnsentEvents", responses={200: {"model": schemas.UnsentEventListResponse}})
    @allow()
    async def list_outbox(
        request: Request, state: EventState = EventState.PARKED, limit: Limit = 20, offset: Offset = 0
    ) -> Response:
        return await read(
            request,
            lambda connection: operator_queries.list_outbox(connection, state=state, limit=limit, offset=offset),
        )

    @router.post(
        "/outbox/{position}/replay", operation_id="replayEvent", responses={200: {"model": schemas.ReplayedEvent}}
    )
    @allow()
    async def replay_event(request: Request, position: Annotated[int, Path(ge=1, lt=2**63), InDigits]) -> Response:
        actor = caller_of(request).actor
        return await perform(request, lambda connection: operator_commands.replay_event(connection, actor, position))

    @router.get("/api-keys", operation_id="listApiKeys", responses={200: {"model": schemas.ApiKeyListResponse}})
    @allow()
    async def list_keys(request: Request, limit: Limit = 100, offset: Offset = 0) -> Response:
        return await read(
            request, lambda connection: operator_commands.list_keys(connection, limit=limit, offset=offset)
        )

    @router.post(
        "/api-keys", operation_id="createApiKey", status_code=201, responses={201: {"model": schemas.CreatedApiKey}}
    )
    @allow()
    async def create_key(request: Request, key: ApiKeyCreate) -> Response:
        """`key` is told once, and is null when the answer is replayed: whoever missed it makes another key."""
        actor = caller_of(request).actor
        return await perform(
            request,
            lambda connection: operator_commands.create_key(
                connection, actor, name=key.name, role=key.role, customer_id=key.customer_id
            ),
            status=201,
            without_secret=lambda made: {**made, "key": None},
        )

    @router.delete("/api-keys/{prefix}", operation_id="revokeApiKey", responses={200: {"model": schemas.RevokedApiKey}})
    @allow()
    async def revoke_key(
        request: Request, prefix: Annotated[str, Path(max_length=255, pattern="^[!-~]+$")]
    ) -> Response:
        actor = caller_of(request).actor
        return await perform(request, lambda connection: operator_commands.revoke_key(connection, actor, prefix))

    return router
