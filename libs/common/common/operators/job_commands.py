"""Commands of operators about jobs: replay, discard, pause; each writes its audit rows in its transaction (ADR 44)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from common.audit.actor import Actor
from common.database.statements import Connection, Record
from common.errors import Code, Problem
from common.jobs import control, kinds
from common.jobs.filters import JobFilter
from common.operators.auditing import record, record_jobs
from common.operators.job_queries import find_job
from common.operators.job_results import JobKind, JobsChange
from common.operators.status import job_kinds
from common.text.causes import shown_cause

_IDS_SHOWN = 20
_GROUPS_SHOWN = 100


async def replay_job(connection: Connection, actor: Actor, job_id: UUID, reason: str | None = None) -> dict[str, Any]:
    """Give a job that is dead or discarded a new round of tries. Raises `Problem` NOT_FOUND, or CONFLICT when it is in
    another state."""
    job, wanted = await _lock(connection, job_id)
    rows = await control.replay(connection, wanted)
    _require_changed(rows, job, "replayed", "dead or discarded")
    details = {} if reason is None else {"reason": reason}
    await record_jobs(connection, actor, [(job_id, rows[0]["state"])], "READY", details)
    return await find_job(connection, job_id)


async def discard_job(connection: Connection, actor: Actor, job_id: UUID, reason: str) -> dict[str, Any]:
    """Let a job that is dead or ready never be run again. Raises `Problem` NOT_FOUND, or CONFLICT when it is in another
    state."""
    job, wanted = await _lock(connection, job_id)
    rows = await control.discard(connection, wanted, reason, actor.name)
    _require_changed(rows, job, "discarded", "dead or ready")
    await record_jobs(connection, actor, [(job_id, rows[0]["state"])], "DISCARDED", {"reason": reason})
    return await find_job(connection, job_id)


async def preview(connection: Connection, chosen: JobFilter) -> tuple[dict[UUID, int], JobsChange]:
    """What a replay or a discard by this filter would change: the jobs with their lease tokens, and the answer."""
    rows = await control.select(connection, chosen)
    # Counted a moment later, when some may have another state.
    matched = max(await control.count(connection, chosen), len(rows))
    wanted = {row["id"]: row["lease_token"] for row in rows}
    return wanted, _answer(rows, list(wanted), matched, dry_run=True)


async def choose(connection: Connection, chosen: JobFilter) -> dict[UUID, int]:
    """The jobs of a filter with their lease tokens."""
    return {row["id"]: row["lease_token"] for row in await control.select(connection, chosen)}


async def replay_jobs(
    connection: Connection, actor: Actor, wanted: Mapping[UUID, int], reason: str, per_second: float | None
) -> JobsChange:
    """Replay these jobs in their order, `per_second` of them due in each second; None makes all due at once. Those that
    were claimed, replayed or discarded since they were selected are left alone."""
    pause = timedelta(0) if per_second is None else timedelta(seconds=1 / per_second)
    rows = await control.replay(connection, wanted, pause)
    return await _changed(connection, actor, wanted, rows, "READY", {"reason": reason, "per_second": per_second})


async def discard_jobs(connection: Connection, actor: Actor, wanted: Mapping[UUID, int], reason: str) -> JobsChange:
    """Discard these jobs, except those that were claimed, replayed or discarded since they were selected."""
    rows = await control.discard(connection, wanted, reason, actor.name)
    return await _changed(connection, actor, wanted, rows, "DISCARDED", {"reason": reason})


async def pause_kind(connection: Connection, actor: Actor, kind: str, reason: str) -> JobKind:
    """Let no worker begin a job of this kind. Raises `Problem` NOT_FOUND for a kind of which there is no job, CONFLICT
    when it is paused."""
    known = await kinds.names(connection)
    if kind not in known:
        raise Problem(Code.NOT_FOUND, f"No job of the kind {kind}.", {"kind": kind, "kinds": ", ".join(known)})
    if not await kinds.pause(connection, kind, reason, actor.name):
        raise Problem(Code.CONFLICT, "The kind is paused already.", {"kind": kind, "state": "paused"})
    await record(connection, actor, "JOB_KIND", _kind_id(kind), "ACTIVE", "PAUSED", {"kind": kind, "reason": reason})
    return await _find_kind(connection, kind)


async def resume_kind(connection: Connection, actor: Actor, kind: str) -> JobKind:
    """The reverse of `pause_kind`. Raises `Problem` NOT_FOUND, or CONFLICT when it is not paused."""
    if await kinds.resume(connection, kind) is None:
        if kind not in await kinds.names(connection):
            raise Problem.not_found("kind", kind)
        raise Problem(Code.CONFLICT, "The kind is not paused.", {"kind": kind, "state": "active"})
    await record(connection, actor, "JOB_KIND", _kind_id(kind), "PAUSED", "ACTIVE", {"kind": kind})
    return await _find_kind(connection, kind)


async def _lock(connection: Connection, job_id: UUID) -> tuple[Record, dict[UUID, int]]:
    """The job and its lease token. Raises `Problem` NOT_FOUND."""
    job = await control.lock(connection, job_id)
    if job is None:
        raise Problem.not_found("job", job_id)
    return job, {job_id: job["lease_token"]}


def _require_changed(rows: Sequence[Record], job: Record, change: str, allowed: str) -> None:
    """Raises `Problem` CONFLICT."""
    if not rows:
        message = f"Only a job that is {allowed} is {change}; this one is {job['state']}."
        raise Problem(Code.CONFLICT, message, {"state": job["state"]})


async def _changed(
    connection: Connection,
    actor: Actor,
    wanted: Mapping[UUID, int],
    rows: Sequence[Record],
    after: str,
    details: Mapping[str, Any],
) -> JobsChange:
    operation = uuid4()
    before = {row["id"]: row["state"] for row in rows}
    ids = [each for each in wanted if each in before]
    changed = [(each, before[each]) for each in ids]
    await record_jobs(connection, actor, changed, after, {**details, "operation": str(operation)})
    answer = _answer(rows, ids, len(wanted), dry_run=False)
    answer["operation"] = operation
    if after == "READY":
        answer["last_due_at"] = max((row["due_at"] for row in rows), default=None)
    return answer


def _answer(rows: Sequence[Record], ids: Sequence[UUID], matched: int, *, dry_run: bool) -> JobsChange:
    groups = Counter((row["kind"], shown_cause(row["cause"])) for row in rows).most_common(_GROUPS_SHOWN)
    return {
        "dry_run": dry_run,
        "matched": matched,
        "changed": len(rows),
        "unchanged": matched - len(rows),
        "groups": [{"kind": kind, "cause": cause, "jobs": number} for (kind, cause), number in groups],
        "ids": list(ids[:_IDS_SHOWN]),
        "selection": None,
        "operation": None,
        "last_due_at": None,
    }


async def _find_kind(connection: Connection, kind: str) -> JobKind:
    return next(each for each in await job_kinds(connection) if each["kind"] == kind)


def _kind_id(kind: str) -> UUID:
    """In the audit trail an entity is a UUID."""
    return uuid5(NAMESPACE_URL, f"urn:articurated:job-kind:{kind}")
