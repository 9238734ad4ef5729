"""`/api/v1/ops`: the operators' routes about jobs, the same in every service."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response

from common.access.auth import Caller, Role
from common.edge.commands.command import command
from common.edge.commands.query import read, read_page
from common.edge.commands.selection import find_selection, store_selection
from common.edge.pages.job_bodies import JobsDiscard, JobsReplay, Reason
from common.edge.requests.query import PageQuery
from common.edge.routing.router import Router
from common.jobs.filters import JobFilter
from common.operators import job_commands, job_queries, status
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
    """Give a job that is dead or discarded a new round of attempts, after its cause is fixed. 409 for a job in another
    state."""
    async with command(request) as run:
        return await run.answer(await job_commands.replay_job(run.connection, Caller.of(request).actor, job_id))


@router.route("POST", "/jobs/{job_id}/discard", roles=[Role.OPS], returns=schemas.JobDetail)
async def discard_job(request: Request, job_id: UUID, body: Reason) -> Response:
    """Let a job that is dead, or that waits, never be run. It is still shown, and can be replayed. 409 for a job that
    is running or done."""
    actor = Caller.of(request).actor
    async with command(request) as run:
        return await run.answer(await job_commands.discard_job(run.connection, actor, job_id, body.reason))


@router.route("POST", "/jobs/replay", roles=[Role.OPS], returns=schemas.JobsChange)
async def replay_jobs(request: Request, body: JobsReplay) -> Response:
    """Replay up to 10,000 jobs that failed in the same way, the earliest failed first.

    With `dry_run`, the answer says what would be replayed, and its `selection` replays exactly these jobs, except those
    that were claimed, replayed or discarded meanwhile. `per_second` spreads the due times of the jobs.
    """
    if body.filter is not None and body.dry_run:
        return await _dry_run(request, body.filter.to_domain())
    wanted = await _selected(request, body.selection)
    chosen = None if body.filter is None else body.filter.to_domain()
    actor, pace = Caller.of(request).actor, None if body.per_second is None else float(body.per_second)
    async with command(request) as run:
        jobs = wanted if chosen is None else await job_commands.choose(run.connection, chosen)
        return await run.answer(await job_commands.replay_jobs(run.connection, actor, jobs, body.given_reason, pace))


@router.route("POST", "/jobs/discard", roles=[Role.OPS], returns=schemas.JobsChange)
async def discard_jobs(request: Request, body: JobsDiscard) -> Response:
    """Discard up to 10,000 jobs; `dry_run` and `selection` are those of the replay of many jobs."""
    if body.filter is not None and body.dry_run:
        return await _dry_run(request, body.filter.to_domain())
    wanted = await _selected(request, body.selection)
    chosen = None if body.filter is None else body.filter.to_domain()
    actor = Caller.of(request).actor
    async with command(request) as run:
        jobs = wanted if chosen is None else await job_commands.choose(run.connection, chosen)
        return await run.answer(await job_commands.discard_jobs(run.connection, actor, jobs, body.given_reason))


async def _dry_run(request: Request, chosen: JobFilter) -> Response:
    async with command(request) as run:
        wanted, answer = await job_commands.preview(run.connection, chosen)
        return await run.answer({**answer, "selection": await store_selection(run, wanted, None)})


async def _selected(request: Request, selection: str | None) -> Mapping[UUID, int]:
    return {} if selection is None else await find_selection(request, selection, None)


@router.route("GET", "/failures", roles=[Role.OPS], returns=schemas.FailureList)
async def list_failures(request: Request) -> Response:
    """Failed work by kind and cause: dead jobs, and jobs that failed and are tried again. At most 100 groups."""
    return await read(request, job_queries.list_failures)


@router.route("GET", "/job-kinds", roles=[Role.OPS], returns=schemas.JobKindList)
async def list_job_kinds(request: Request) -> Response:
    """The kinds of jobs that the service has: how many jobs are in which state, and whether the kind is paused."""
    return await read(request, status.list_job_kinds)


_Kind = Annotated[str, Path(max_length=100, pattern="^[!-~]+$", description="A kind of jobs.")]


@router.route("POST", "/job-kinds/{kind}/pause", roles=[Role.OPS], returns=schemas.JobKind)
async def pause_job_kind(request: Request, kind: _Kind, body: Reason) -> Response:
    """Let no worker begin a job of this kind until it is resumed. Jobs that run end as usual, new ones wait with their
    due times, and no attempt is used up. 409 when it is paused already."""
    actor = Caller.of(request).actor
    async with command(request) as run:
        return await run.answer(await job_commands.pause_kind(run.connection, actor, kind, body.reason))


@router.route("POST", "/job-kinds/{kind}/resume", roles=[Role.OPS], returns=schemas.JobKind)
async def resume_job_kind(request: Request, kind: _Kind) -> Response:
    """Let workers run the jobs of this kind again, those that are due at once. 409 when it is not paused."""
    async with command(request) as run:
        return await run.answer(await job_commands.resume_kind(run.connection, Caller.of(request).actor, kind))
