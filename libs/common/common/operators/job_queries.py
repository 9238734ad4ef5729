"""Queries for operators about jobs: lists, one job with its attempts, failures by cause, and kinds."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.database.paging import PagedQuery
from common.database.statements import Connection, Record, prepare
from common.database.tables import job_attempts, jobs
from common.errors import Problem
from common.jobs.attempts import ATTEMPTS_SHOWN
from common.jobs.filters import JobFilter, conditions
from common.jobs.kinds import failed
from common.operators.job_results import FailureGroup, FailureList, JobAttempt, JobSummary
from common.operators.listing import Row, columns_of, paged_list
from common.paging import Page, Paging
from common.text.causes import UNCLASSIFIED, shown_cause, stored_cause

MOST_GROUPS = 100

_last = job_attempts.alias("last_attempt")
_seconds = sa.func.extract("epoch", _last.c.finished_at - _last.c.started_at)
_cause = sa.case(
    (jobs.c.last_error.is_(None), sa.null()),
    else_=sa.func.coalesce(sa.func.nullif(jobs.c.cause, ""), UNCLASSIFIED),
)
_computed: Mapping[str, sa.ColumnElement[Any]] = {
    "started_at": _last.c.started_at,
    "seconds": sa.cast(_seconds, sa.Double).label("seconds"),
    "cause": _cause.label("cause"),
}
_summary = [_computed[name] if name in _computed else jobs.c[name] for name in JobSummary.__annotations__]
_with_last_attempt = jobs.outerjoin(_last, sa.and_(_last.c.job_id == jobs.c.id, _last.c.number == jobs.c.attempts))
_newest_first = (jobs.c.created_at.desc(), jobs.c.id)
_rows = sa.select(*_summary).select_from(_with_last_attempt)
_id = sa.bindparam("id", type_=sa.Uuid)
_FIND_JOB = prepare(_rows.add_columns(jobs.c.causation_id, jobs.c.traceparent).where(jobs.c.id == _id))
_latest_attempts = (
    sa.select(*columns_of(job_attempts, JobAttempt))
    .where(job_attempts.c.job_id == _id)
    .order_by(job_attempts.c.number.desc())
    .limit(sa.literal_column(str(ATTEMPTS_SHOWN)))
    .subquery("latest")
)
_ATTEMPTS = prepare(sa.select(_latest_attempts).order_by(_latest_attempts.c.number))

_groups = (
    sa.select(
        *(failed.c.kind, failed.c.cause, failed.c.is_dead, sa.func.count().label("jobs")),
        *(sa.func.min(failed.c.failed_at).label("oldest"), sa.func.max(failed.c.failed_at).label("newest")),
        sa.func.sum(sa.func.count()).over().label("total"),
    )
    .group_by(failed.c.kind, failed.c.cause, failed.c.is_dead)
    .order_by(failed.c.is_dead.desc(), sa.func.count().desc(), failed.c.kind, failed.c.cause)
    .limit(sa.literal_column(str(MOST_GROUPS)))
    .subquery("groups")
)
_of_group = failed.alias("of_group")
_example = (
    sa.select(_of_group.c.id)
    .where(*(_of_group.c[name] == _groups.c[name] for name in ("kind", "cause", "is_dead")))
    .order_by(_of_group.c.failed_at.desc())
    .limit(sa.literal_column("1"))
    .scalar_subquery()
)
_FAILURES = prepare(
    sa.select(_groups, _example.label("example_id")).order_by(
        _groups.c.is_dead.desc(), _groups.c.jobs.desc(), _groups.c.kind, _groups.c.cause
    )
)


async def list_jobs(
    connection: Connection,
    state: str | None,
    kind: str | None,
    business_key: str | None,
    cause: str | None,
    paging: Paging,
) -> Page[Row]:
    """Newest first; None is no condition."""
    stored = None if cause is None else stored_cause(cause)
    chosen = JobFilter(state, kind, stored, business_key=business_key)
    return await _list(chosen.state, chosen.names).fetch(connection, paging, **chosen.parameters)


@lru_cache
def _list(state: str | None, names: frozenset[str]) -> PagedQuery[Row]:
    return paged_list(_rows, sa.select(jobs.c.id).where(*conditions(state, names)), *_newest_first)


async def find_job(connection: Connection, job_id: UUID) -> Row:
    """The job with its latest attempts, up to `ATTEMPTS_SHOWN`, and their errors. Raises `Problem` NOT_FOUND."""
    row = await _FIND_JOB.fetch_one(connection, id=job_id)
    if row is None:
        raise Problem.not_found("job", job_id)
    return {**row, "attempts_made": [dict(each) for each in await _ATTEMPTS.fetch_all(connection, id=job_id)]}


async def list_failures(connection: Connection) -> FailureList:
    """Failed work grouped by its cause."""
    rows = await _FAILURES.fetch_all(connection)
    return {"jobs": rows[0]["total"] if rows else 0, "data": [_group(row) for row in rows]}


def _group(row: Record) -> FailureGroup:
    return {
        "kind": row["kind"],
        "cause": shown_cause(row["cause"]),
        "state": "dead" if row["is_dead"] else "retrying",
        "jobs": row["jobs"],
        "oldest": row["oldest"],
        "newest": row["newest"],
        "example_id": row["example_id"],
    }
