"""What operators look at: jobs and their attempts, records that could not be handled, events not sent."""

from base64 import b64encode
from collections.abc import Mapping
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
    true,
)

from common.database.statements import Connection, Statement, prepare
from common.database.tables import job_attempts, jobs, outbox, outbox_parked, outbox_pending, poison
from common.errors import not_found

_JOB = [
    *(jobs.c.id, jobs.c.kind, jobs.c.business_key, jobs.c.state, jobs.c.attempts, jobs.c.failures, jobs.c.abandoned),
    *(jobs.c.due_at, jobs.c.leased_until, jobs.c.created_at, jobs.c.finished_at, jobs.c.last_error),
]
_POISON = [
    *(poison.c.id, poison.c.topic, poison.c.partition, poison.c.offset, poison.c.error, poison.c.state),
    *(poison.c.created_at, poison.c.replayed_at, poison.c.kind, poison.c.last_offset),
]
_EVENT = (outbox.c.position, outbox.c.id, outbox.c.type, outbox.c.topic, outbox.c.key, outbox.c.sequence)


def _where(query: Select[Any], **wanted: Column[Any]) -> Select[Any]:
    """Each condition holds where its parameter is null or equal."""
    for name, column in wanted.items():
        parameter: ColumnElement[Any] = bindparam(name, type_=column.type)
        query = query.where(or_(parameter.is_(None), column == parameter))
    return query


def _paged(
    rows: Select[Any], keys: Select[Any], *order: ColumnElement[Any], counted: FromClause | None = None
) -> Statement:
    """A page and, by the same snapshot, how many there are: as many as `counted` has, where that is less to go over.

    `keys` selects the one key of all rows that are wanted, `rows` what is shown of those whose key is in `page.key`:
    of what is skipped, and of what is only counted, nothing else is read. An empty page is a row without a place.
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
    all_ = keys.subquery() if counted is None else counted
    total = select(func.count().label("total")).select_from(all_).subquery("counted")
    return prepare(select(total, page).select_from(total.outerjoin(page, true())).order_by(page.c.place))


_JOBS = _paged(
    select(*_JOB),
    _where(select(jobs.c.id), state=jobs.c.state, kind=jobs.c.kind),
    *(jobs.c.created_at.desc(), jobs.c.id),
)
_POISONED = _paged(
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
# A run of a job has a few attempts; only one that was replayed again and again has more than are shown.
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

Page = Mapping[str, Any]


async def list_jobs(connection: Connection, *, state: str | None, kind: str | None, limit: int, offset: int) -> Page:
    """Newest first."""
    return await _page(connection, _JOBS, limit, offset, state=state, kind=kind)


async def find_job(connection: Connection, job_id: UUID) -> dict[str, Any]:
    """The job with its latest attempts, up to `ATTEMPTS_SHOWN`, and their errors. Raises `Problem` NOT_FOUND."""
    row = await _FIND_JOB.fetch_one(connection, id=job_id)
    if row is None:
        raise not_found("job", job_id)
    return {**row, "attempts_made": [dict(each) for each in await _ATTEMPTS.fetch_all(connection, id=job_id)]}


async def list_poison(connection: Connection, *, state: str | None, limit: int, offset: int) -> Page:
    """Records that could not be handled, newest first, without their bytes."""
    return await _page(connection, _POISONED, limit, offset, state=state)


async def find_poison(connection: Connection, poison_id: UUID) -> dict[str, Any]:
    """The record as it came, its bytes in base64. Raises `Problem` NOT_FOUND."""
    row = await _FIND_POISON.fetch_one(connection, id=poison_id)
    if row is None:
        raise not_found("poison", poison_id)
    return {**row, "key": _base64(row["key"]), "value": _base64(row["value"])}


async def list_outbox(connection: Connection, *, state: str, limit: int, offset: int) -> Page:
    """Events that are `pending` or `parked`, the latest first."""
    return await _page(connection, _EVENTS[state], limit, offset)


async def find_event(connection: Connection, position: int) -> dict[str, Any]:
    """The event's id and its state: `pending`, `parked` or `published`. Raises `Problem` NOT_FOUND."""
    row = await _FIND_EVENT.fetch_one(connection, position=position)
    if row is None:
        raise not_found("position", position)
    return dict(row)


async def _page(connection: Connection, statement: Statement, limit: int, offset: int, **wanted: object) -> Page:
    found = await statement.fetch_all(connection, limit=limit, offset=offset, **wanted)
    total = found[0]["total"]
    rows = [row for row in found if row["place"] is not None]
    return {
        "data": [{name: value for name, value in row.items() if name not in ("total", "place")} for row in rows],
        "pagination": {"limit": limit, "offset": offset, "total": total, "has_more": offset + len(rows) < total},
    }


def _base64(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()
