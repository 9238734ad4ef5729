"""Operators' commands about jobs and their kinds on the command line."""

import argparse
from typing import Any
from uuid import UUID

from common.audit.actor import Actor
from common.database.statements import Connection
from common.jobs.filters import JobFilter
from common.operators import job_commands, job_queries, status
from common.operators.parsers import Subcommands, command_of, listing_of
from common.text.causes import stored_cause

SLOWEST, FASTEST = 0.01, 1000.0


def add_jobs(jobs: Subcommands) -> None:
    list_parser = listing_of(jobs, "newest first", job_queries.list_jobs)
    list_parser.add_argument("--state", choices=["ready", "running", "done", "dead", "discarded"])
    list_parser.add_argument("--kind")
    list_parser.add_argument("--business-key", help="jobs about this object")
    list_parser.add_argument("--cause", help="jobs that failed with this cause, as `failures` shows it")
    show_parser = command_of(jobs, "show", "one job with every attempt", job_queries.find_job)
    show_parser.add_argument("job_id", metavar="id", type=UUID)
    meaning = "start a dead or discarded job again, with a new round of attempts; or all of a kind or cause"
    replay_parser = _with_filter(command_of(jobs, "replay", meaning, _replay), ["dead", "discarded"])
    replay_parser.add_argument("--per-second", type=_pace, help="so many jobs are due in each second; else all at once")
    meaning = "let a dead or waiting job never be run; or all of a kind or cause"
    _with_filter(command_of(jobs, "discard", meaning, _discard), ["dead", "ready"])


def add_kinds(kinds: Subcommands) -> None:
    command_of(kinds, "list", "the kinds of jobs with the numbers of their jobs", status.list_job_kinds)
    pause_parser = command_of(kinds, "pause", "let no worker begin a job of this kind", job_commands.pause_kind)
    pause_parser.add_argument("kind")
    pause_parser.add_argument("--reason", required=True)
    command_of(kinds, "resume", "the reverse of pause", job_commands.resume_kind).add_argument("kind")


def _with_filter(parser: argparse.ArgumentParser, states: list[str]) -> argparse.ArgumentParser:
    parser.add_argument("job_id", metavar="id", type=UUID, nargs="?")
    parser.add_argument("--kind")
    parser.add_argument("--cause", help="as `failures` shows it")
    parser.add_argument("--state", choices=states, default="dead", help="of the jobs of a kind or cause; default: dead")
    parser.add_argument("--dry-run", action="store_true", help="only show how many jobs it would be, and the first 20")
    parser.add_argument("--reason")
    return parser


async def _replay(
    connection: Connection,
    actor: Actor,
    job_id: UUID | None,
    kind: str | None,
    cause: str | None,
    state: str,
    dry_run: bool,
    reason: str | None,
    per_second: float | None,
) -> dict[str, Any]:
    chosen = _filter(job_id, kind, cause, state)
    if chosen is None and job_id is not None and not dry_run:
        return await job_commands.replay_job(connection, actor, job_id, reason)
    if dry_run:
        return await _preview(connection, chosen)
    wanted = await job_commands.choose(connection, _given(chosen))
    return {**await job_commands.replay_jobs(connection, actor, wanted, _reason(reason), per_second)}


async def _discard(
    connection: Connection,
    actor: Actor,
    job_id: UUID | None,
    kind: str | None,
    cause: str | None,
    state: str,
    dry_run: bool,
    reason: str | None,
) -> dict[str, Any]:
    chosen = _filter(job_id, kind, cause, state)
    if dry_run:
        return await _preview(connection, chosen)
    if chosen is None and job_id is not None:
        return await job_commands.discard_job(connection, actor, job_id, _reason(reason))
    wanted = await job_commands.choose(connection, _given(chosen))
    return {**await job_commands.discard_jobs(connection, actor, wanted, _reason(reason))}


async def _preview(connection: Connection, chosen: JobFilter | None) -> dict[str, Any]:
    _, answer = await job_commands.preview(connection, _given(chosen))
    return {**answer}


def _filter(job_id: UUID | None, kind: str | None, cause: str | None, state: str) -> JobFilter | None:
    """None for one job by its id. Raises `ValueError` when both are given."""
    if kind is None and cause is None:
        return None
    if job_id is not None:
        raise ValueError("give either an id, or --kind and --cause")
    return JobFilter(state, kind, None if cause is None else stored_cause(cause))


def _given(chosen: JobFilter | None) -> JobFilter:
    if chosen is None:
        raise ValueError("give --kind, --cause or both")
    return chosen


def _reason(reason: str | None) -> str:
    if not reason:
        raise ValueError("give a --reason")
    return reason


def _pace(text: str) -> float:
    if not SLOWEST <= (value := float(text)) <= FASTEST:
        raise argparse.ArgumentTypeError(f"must be from {SLOWEST:g} to {FASTEST:g}")
    return value
