"""Queries for operators: jobs and their attempts, poison records, unpublished events, API keys."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Uuid,
    bindparam,
    case,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)

from common.access import api_keys
from common.database.paging import counted_page, fetch_page
from common.database.statements import Connection, Record, Statement, prepare
from common.database.tables import job_attempts, jobs, outbox, outbox_parked, outbox_pending, poison
from common.errors import Problem
from common.paging import Page, Paging

_JOB = [
    *(jobs.c.id, jobs.c.kind, jobs.c.business_key, jobs.c.state, jobs.c.attempts, jobs.c.failures, jobs.c.abandoned),
    *(jobs.c.due_at, jobs.c.leased_until, jobs.c.created_at, jobs.c.finished_at, jobs.c.last_error),
]
_POISON = [
    *(poison.c.id, poison.c.topic, poison.c.partition, poison.c.offset, poison.c.error, poison.c.state),
    *(poison.c.created_at, poison.c.replayed_at, poison.c.kind, poison.c.last_offset),
]
_EVENT = (outbox.c.position, outbox.c.id, outbox.c.type, outbox.c.topic, outbox.c.key, outbox.c.sequence)


def _where(query: Select[Any], **columns: Column[Any]) -> Select[Any]:
    """Each column equals the parameter of that name; a null parameter is no condition."""
    for name, column in columns.items():
        parameter: ColumnElement[Any] = bindparam(name, type_=column.type)
        query = query.where(or_(parameter.is_(None), column == parameter))
    return query


def _paged(
    rows: Select[Any], keys: Select[Any], *order: ColumnElement[Any], counted: FromClause | None = None
) -> Statement:
    """A page and, by the same snapshot, the number of all rows: that of `counted`, where it is cheaper to count.

    `keys` selects the key of every row of the list, `rows` the columns of a page: they are read for the rows of the
    page only. An empty page is a row without a place.
    """
    (key,) = keys.selected_columns
    page_of_keys = (
        keys.with_only_columns(key.label("key"), func.row_number().over(order_by=order).label("place"))
        .order_by(*order)
        .limit(bindparam("limit", type_=Integer))
        .offset(bindparam("offset", type_=Integer))
        .subquery("keys")
    )
    page = rows.add_columns(page_of_keys.c.place).join(page_of_keys, page_of_keys.c.key == key).subquery("page")
    total = select(func.count()).select_from(keys.subquery() if counted is None else counted)
    return prepare(counted_page(page, total.scalar_subquery(), page.c.place))


_JOBS = _paged(
    select(*_JOB),
    _where(select(jobs.c.id), state=jobs.c.state, kind=jobs.c.kind),
    *(jobs.c.created_at.desc(), jobs.c.id),
)
_POISON_RECORDS = _paged(
    select(*_POISON), _where(select(poison.c.id), state=poison.c.state), poison.c.created_at.desc(), poison.c.id
)
_EVENTS = {
    state: _paged(
        select(*_EVENT, literal(state).label("state"), outbox.c.created_at, error.label("last_error")).join(
            unsent, unsent.c.position == outbox.c.position
        ),
        select(unsent.c.position).join(outbox, unsent.c.position == outbox.c.position),
        unsent.c.position.desc(),
        counted=unsent,
    )
    for state, unsent, error in (("pending", outbox_pending, null()), ("parked", outbox_parked, outbox_parked.c.error))
}
_position = bindparam("position", type_=BigInteger)
_is_pending = exists().where(outbox_pending.c.position == _position)
_is_parked = exists().where(outbox_parked.c.position == _position)
_FIND_EVENT = prepare(
    select(outbox.c.id, case((_is_pending, "pending"), (_is_parked, "parked"), else_="published").label("state")).where(
        outbox.c.position == _position
    )
)
_FIND_JOB = prepare(
    select(*_JOB, jobs.c.causation_id, jobs.c.traceparent).where(jobs.c.id == bindparam("id", type_=Uuid))
)
# A job has a few attempts; only one that was replayed many times has more.
ATTEMPTS_SHOWN = 100
_latest_attempts = (
    select(
        *(job_attempts.c.number, job_attempts.c.worker, job_attempts.c.started_at, job_attempts.c.finished_at),
        *(job_attempts.c.outcome, job_attempts.c.error),
    )
    .where(job_attempts.c.job_id == bindparam("id", type_=Uuid))
    .order_by(job_attempts.c.number.desc())
    .limit(literal_column(str(ATTEMPTS_SHOWN)))
    .subquery("latest")
)
_ATTEMPTS = prepare(select(_latest_attempts).order_by(_latest_attempts.c.number))
_FIND_POISON = prepare(
    select(*_POISON, poison.c.key, poison.c.value, poison.c.headers, poison.c.record_time).where(
        poison.c.id == bindparam("id", type_=Uuid)
    )
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """The jobs to list; None is no condition."""

    state: str | None = None
    kind: str | None = None


async def list_jobs(connection: Connection, filters: JobFilter, paging: Paging) -> Page[Row]:
    """Newest first."""
    return await _fetch(connection, _JOBS, paging, state=filters.state, kind=filters.kind)


async def find_job(connection: Connection, job_id: UUID) -> Row:
    """The job with its latest attempts, up to `ATTEMPTS_SHOWN`, and their errors. Raises `Problem` NOT_FOUND."""
    row = await _FIND_JOB.fetch_one(connection, id=job_id)
    if row is None:
        raise Problem.not_found("job", job_id)
    return {**row, "attempts_made": [dict(each) for each in await _ATTEMPTS.fetch_all(connection, id=job_id)]}


async def list_poison(connection: Connection, state: str | None, paging: Paging) -> Page[Row]:
    """Poison records, newest first, without their bytes."""
    return await _fetch(connection, _POISON_RECORDS, paging, state=state)


async def find_poison(connection: Connection, poison_id: UUID) -> Row:
    """The record as it was read, its bytes in base64. Raises `Problem` NOT_FOUND."""
    row = await _FIND_POISON.fetch_one(connection, id=poison_id)
    if row is None:
        raise Problem.not_found("poison", poison_id)
    return {**row, "key": _base64(row["key"]), "value": _base64(row["value"])}


async def list_outbox(connection: Connection, state: str, paging: Paging) -> Page[Row]:
    """Events that are `pending` or `parked`, the latest first."""
    return await _fetch(connection, _EVENTS[state], paging)


async def find_event(connection: Connection, position: int) -> Row:
    """The event's id and its state: `pending`, `parked` or `published`. Raises `Problem` NOT_FOUND."""
    row = await _FIND_EVENT.fetch_one(connection, position=position)
    if row is None:
        raise Problem.not_found("position", position)
    return dict(row)


async def list_keys(connection: Connection, paging: Paging | None = None) -> Page[Row]:
    """API keys, oldest first, without their secrets; without `paging` all of them."""
    limit, offset = (None, 0) if paging is None else (paging.limit, paging.offset)
    rows = await api_keys.list_page(connection, limit=limit, offset=offset)
    return Page([dict(row) for row in rows], await api_keys.count(connection))


async def _fetch(connection: Connection, statement: Statement, paging: Paging, **filters: object) -> Page[Row]:
    return await fetch_page(connection, statement, paging, _without_counts, key="place", **filters)


def _without_counts(row: Record) -> Row:
    return {name: value for name, value in row.items() if name not in ("total", "place")}


def _base64(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()
