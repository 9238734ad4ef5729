"""`/api/v1/ops`: the operators' routes about jobs, the same in every service."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from common.access.auth import Caller, Role
from common.edge.commands.command import command
from common.edge.commands.query import read, read_page
from common.edge.requests.query import PageQuery
from common.edge.routing.router import Router
from common.operators import commands, job_queries, status
from common.operators import job_results as schemas


class JobState(StrEnum):
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    DISCARDED = "discarded"


router = Router("/ops", tag="Operations")


@router.route("GET", "/jobs", roles=[Role.OPS], lists=schemas.JobSummary)
async def list_jobs(
    request: Request,
    paging: PageQuery,
    state: Annotated[JobState | None, Query(description="Jobs in this state.")] = None,
    kind: Annotated[str | None, Query(max_length=100, pattern="^[ -~]*$", description="Jobs of this kind.")] = None,
    business_key: Annotated[
        str | None, Query(max_length=500, pattern="^[ -~]*$", description="Jobs about this object.")
    ] = None,
    cause: Annotated[
        str | None, Query(max_length=500, pattern="^[^\\u0000]*$", description="Jobs that failed with this cause.")
    ] = None,
) -> Response:
    """The background jobs of the service, newest first, optionally those in one state, of one kind, or of one cause."""
    return await read_page(request, job_queries.list_jobs, state, kind, business_key, cause, paging=paging)


@router.route("GET", "/jobs/{job_id}", roles=[Role.OPS], returns=schemas.JobDetail)
async def get_job(request: Request, job_id: UUID) -> Response:
    """The job with its attempts and their errors."""
    return await read(request, job_queries.find_job, job_id)


@router.route("POST", "/jobs/{job_id}/replay", roles=[Role.OPS], returns=schemas.JobDetail)
async def replay_job(request: Request, job_id: UUID) -> Response:
    """Give a dead job a new round of attempts, after its cause is fixed. 409 for a job in another state."""
    async with command(request) as run:
        return await run.answer(await commands.replay_job(run.connection, Caller.of(request).actor, job_id))


@router.route("GET", "/failures", roles=[Role.OPS], returns=schemas.FailureList)
async def list_failures(request: Request) -> Response:
    """Failed work by kind and cause: dead jobs, and jobs that failed and are tried again. At most 100 groups."""
    return await read(request, job_queries.list_failures)


@router.route("GET", "/job-kinds", roles=[Role.OPS], returns=schemas.JobKindList)
async def list_job_kinds(request: Request) -> Response:
    """The kinds of jobs that the service has: how many jobs are in which state, and whether the kind is paused."""
    return await read(request, status.list_job_kinds)
