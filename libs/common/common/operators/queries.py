"""Queries for operators: jobs and their attempts, poison records, unpublished events, API keys."""

from base64 import b64encode
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.database.paging import PagedQuery
from common.database.statements import Connection, Record, prepare
from common.database.tables import (
    api_keys,
    discrepancies,
    job_attempts,
    jobs,
    outbox,
    outbox_parked,
    outbox_pending,
    poison,
)
from common.errors import Problem
from common.jobs.attempts import ATTEMPTS_SHOWN
from common.operators.results import ApiKeySummary, Discrepancy, JobAttempt, JobSummary, PoisonSummary
from common.paging import Page, Paging

Row = dict[str, Any]


def _columns(table: sa.Table, result: type[Any]) -> list[sa.Column[Any]]:
    """The columns that a result has as its fields, in this order."""
    return [table.c[name] for name in result.__annotations__ if name in table.c]


def _where(query: sa.Select[Any], **columns: sa.Column[Any]) -> sa.Select[Any]:
    """Each column equals the parameter of that name; a null parameter is no condition."""
    for name, column in columns.items():
        parameter: sa.ColumnElement[Any] = sa.bindparam(name, type_=column.type)
        query = query.where(sa.or_(parameter.is_(None), column == parameter))
    return query


def _without_counts(row: Record) -> Row:
    return {name: value for name, value in row.items() if name not in ("total", "place")}


def _paged(
    rows: sa.Select[Any], keys: sa.Select[Any], *order: sa.ColumnElement[Any], counted: sa.FromClause | None = None
) -> PagedQuery[Row]:
    """A page and, by the same snapshot, the number of all rows: that of `counted`, where it is cheaper to count.

    `keys` selects the key of every row of the list, `rows` the columns of a page: they are read for the rows of the
    page only. An empty page is a row without a place.
    """
    (key,) = keys.selected_columns
    page_of_keys = (
        keys.with_only_columns(key.label("key"), sa.func.row_number().over(order_by=order).label("place"))
        .order_by(*order)
        .limit(sa.bindparam("limit", type_=sa.Integer))
        .offset(sa.bindparam("offset", type_=sa.Integer))
        .subquery("keys")
    )
    page = rows.add_columns(page_of_keys.c.place).join(page_of_keys, page_of_keys.c.key == key).subquery("page")
    total = sa.select(sa.func.count()).select_from(keys.subquery() if counted is None else counted)
    return PagedQuery(page, total.scalar_subquery(), page.c.place, load=_without_counts, key="place")


_JOBS = _paged(
    sa.select(*_columns(jobs, JobSummary)),
    _where(sa.select(jobs.c.id), state=jobs.c.state, kind=jobs.c.kind),
    *(jobs.c.created_at.desc(), jobs.c.id),
)
_POISON_RECORDS = _paged(
    sa.select(*_columns(poison, PoisonSummary)),
    _where(sa.select(poison.c.id), state=poison.c.state),
    *(poison.c.created_at.desc(), poison.c.id),
)
_state = sa.bindparam("state", type_=sa.Text)
_DISCREPANCIES = _paged(
    sa.select(*_columns(discrepancies, Discrepancy)),
    _where(sa.select(discrepancies.c.id), check=discrepancies.c.check).where(
        sa.or_(_state.is_(None), (_state == "open") == discrepancies.c.resolved_at.is_(None))
    ),
    *(discrepancies.c.first_seen.desc(), discrepancies.c.id),
)
_EVENTS = {
    state: _paged(
        sa.select(
            *(outbox.c.position, outbox.c.id, outbox.c.type, outbox.c.topic, outbox.c.key, outbox.c.sequence),
            *(sa.literal(state).label("state"), outbox.c.created_at, error.label("last_error")),
        ).join(unsent, unsent.c.position == outbox.c.position),
        sa.select(unsent.c.position).join(outbox, unsent.c.position == outbox.c.position),
        unsent.c.position.desc(),
        counted=unsent,
    )
    for state, unsent, error in (
        ("pending", outbox_pending, sa.null()),
        ("parked", outbox_parked, outbox_parked.c.error),
    )
}
_KEYS = _paged(
    sa.select(*_columns(api_keys, ApiKeySummary)),
    sa.select(api_keys.c.prefix),
    *(api_keys.c.created_at, api_keys.c.prefix),
)
_position = sa.bindparam("position", type_=sa.BigInteger)
_event_state = sa.case(
    (sa.exists().where(outbox_pending.c.position == _position), "pending"),
    (sa.exists().where(outbox_parked.c.position == _position), "parked"),
    else_="published",
)
_FIND_EVENT = prepare(sa.select(outbox.c.id, _event_state.label("state")).where(outbox.c.position == _position))
_id = sa.bindparam("id", type_=sa.Uuid)
_FIND_JOB = prepare(
    sa.select(*_columns(jobs, JobSummary), jobs.c.causation_id, jobs.c.traceparent).where(jobs.c.id == _id)
)
_latest_attempts = (
    sa.select(*_columns(job_attempts, JobAttempt))
    .where(job_attempts.c.job_id == _id)
    .order_by(job_attempts.c.number.desc())
    .limit(sa.literal_column(str(ATTEMPTS_SHOWN)))
    .subquery("latest")
)
_ATTEMPTS = prepare(sa.select(_latest_attempts).order_by(_latest_attempts.c.number))
_FIND_POISON = prepare(
    sa.select(
        *_columns(poison, PoisonSummary), poison.c.key, poison.c.value, poison.c.headers, poison.c.record_time
    ).where(poison.c.id == _id)
)


async def list_jobs(connection: Connection, state: str | None, kind: str | None, paging: Paging) -> Page[Row]:
    """Newest first; None is no condition."""
    return await _JOBS.fetch(connection, paging, state=state, kind=kind)


async def find_job(connection: Connection, job_id: UUID) -> Row:
    """The job with its latest attempts, up to `ATTEMPTS_SHOWN`, and their errors. Raises `Problem` NOT_FOUND."""
    row = await _FIND_JOB.fetch_one(connection, id=job_id)
    if row is None:
        raise Problem.not_found("job", job_id)
    return {**row, "attempts_made": [dict(each) for each in await _ATTEMPTS.fetch_all(connection, id=job_id)]}


async def list_poison(connection: Connection, state: str | None, paging: Paging) -> Page[Row]:
    """Poison records, newest first, without their bytes."""
    return await _POISON_RECORDS.fetch(connection, paging, state=state)


async def find_poison(connection: Connection, poison_id: UUID) -> Row:
    """The record as it was read, its bytes in base64. Raises `Problem` NOT_FOUND."""
    row = await _FIND_POISON.fetch_one(connection, id=poison_id)
    if row is None:
        raise Problem.not_found("poison", poison_id)
    return {**row, "key": _base64(row["key"]), "value": _base64(row["value"])}


async def list_outbox(connection: Connection, state: str, paging: Paging) -> Page[Row]:
    """Events that are `pending` or `parked`, the latest first."""
    return await _EVENTS[state].fetch(connection, paging)


async def find_event(connection: Connection, position: int) -> Row:
    """The event's id and its state: `pending`, `parked` or `published`. Raises `Problem` NOT_FOUND."""
    row = await _FIND_EVENT.fetch_one(connection, position=position)
    if row is None:
        raise Problem.not_found("position", position)
    return dict(row)


async def list_discrepancies(connection: Connection, state: str | None, check: str | None, paging: Paging) -> Page[Row]:
    """Discrepancies that are `open` or `resolved`, or all, the latest first; None is no condition."""
    return await _DISCREPANCIES.fetch(connection, paging, state=state, check=check)


async def list_keys(connection: Connection, paging: Paging) -> Page[Row]:
    """API keys, oldest first, without their secrets."""
    return await _KEYS.fetch(connection, paging)


def _base64(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()
