"""Queries for operators: poison records, unpublished events, discrepancies, API keys."""

from base64 import b64encode
from dataclasses import replace
from uuid import UUID

import msgspec
import sqlalchemy as sa

from common.database.statements import Connection, prepare
from common.database.tables import (
    api_keys,
    discrepancies,
    outbox,
    outbox_parked,
    outbox_pending,
    poison,
)
from common.errors import Problem
from common.operators.listing import Row, columns_of, paged_list, where_equal
from common.operators.results import ApiKeySummary, Discrepancy, PoisonSummary
from common.paging import Page, Paging
from common.text.causes import shown_cause

_POISON_RECORDS = paged_list(
    sa.select(*columns_of(poison, PoisonSummary)),
    where_equal(sa.select(poison.c.id), state=poison.c.state),
    *(poison.c.created_at.desc(), poison.c.id),
)
_state = sa.bindparam("state", type_=sa.Text)
_discrepancy_state = sa.case(
    (discrepancies.c.resolved_at.is_not(None), "resolved"),
    (discrepancies.c.acknowledged_at.is_not(None), "acknowledged"),
    else_="open",
)
_DISCREPANCIES = paged_list(
    sa.select(*columns_of(discrepancies, Discrepancy)),
    where_equal(sa.select(discrepancies.c.id), check=discrepancies.c.check).where(
        sa.or_(_state.is_(None), _discrepancy_state == _state)
    ),
    *(discrepancies.c.first_seen.desc(), discrepancies.c.id),
)
_EVENTS = {
    state: paged_list(
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
_KEYS = paged_list(
    sa.select(*columns_of(api_keys, ApiKeySummary)),
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
_FIND_DISCREPANCY = prepare(sa.select(*columns_of(discrepancies, Discrepancy)).where(discrepancies.c.id == _id))
_parked_error = sa.select(outbox_parked.c.error).where(outbox_parked.c.position == outbox.c.position).scalar_subquery()
_SHOW_EVENT = prepare(
    sa.select(
        *(outbox.c.position, outbox.c.id, outbox.c.type, outbox.c.topic, outbox.c.key, outbox.c.sequence),
        *(_event_state.label("state"), outbox.c.created_at, _parked_error.label("last_error")),
        *(outbox.c.causation_id, outbox.c.traceparent, outbox.c.headers, outbox.c.payload),
    ).where(outbox.c.position == _position)
)
_FIND_POISON = prepare(
    sa.select(
        *columns_of(poison, PoisonSummary), poison.c.key, poison.c.value, poison.c.headers, poison.c.record_time
    ).where(poison.c.id == _id)
)


async def list_poison(connection: Connection, state: str | None, paging: Paging) -> Page[Row]:
    """Poison records, newest first, without their bytes."""
    page = await _POISON_RECORDS.fetch(connection, paging, state=state)
    return replace(page, rows=[_with_cause(row) for row in page.rows])


async def find_poison(connection: Connection, poison_id: UUID) -> Row:
    """The record as it was read, its bytes in base64. Raises `Problem` NOT_FOUND."""
    row = await _FIND_POISON.fetch_one(connection, id=poison_id)
    if row is None:
        raise Problem.not_found("poison", poison_id)
    return {**_with_cause(dict(row)), "key": _base64(row["key"]), "value": _base64(row["value"])}


async def list_outbox(connection: Connection, state: str, paging: Paging) -> Page[Row]:
    """Events that are `pending` or `parked`, the latest first."""
    return await _EVENTS[state].fetch(connection, paging)


async def find_event(connection: Connection, position: int) -> Row:
    """The event's id and its state: `pending`, `parked` or `published`. Raises `Problem` NOT_FOUND."""
    row = await _FIND_EVENT.fetch_one(connection, position=position)
    if row is None:
        raise Problem.not_found("position", position)
    return dict(row)


async def show_event(connection: Connection, position: int) -> Row:
    """The event with its data, which is JSON; what is not is shown as text. Raises `Problem` NOT_FOUND."""
    row = await _SHOW_EVENT.fetch_one(connection, position=position)
    if row is None:
        raise Problem.not_found("position", position)
    return {**row, "payload": _json(row["payload"])}


async def list_discrepancies(connection: Connection, state: str | None, check: str | None, paging: Paging) -> Page[Row]:
    """Discrepancies that are `open`, `acknowledged` or `resolved`, or all, the latest first; None is no condition."""
    return await _DISCREPANCIES.fetch(connection, paging, state=state, check=check)


async def find_discrepancy(connection: Connection, discrepancy_id: UUID) -> Row:
    """Raises `Problem` NOT_FOUND."""
    row = await _FIND_DISCREPANCY.fetch_one(connection, id=discrepancy_id)
    if row is None:
        raise Problem.not_found("discrepancy", discrepancy_id)
    return dict(row)


async def list_keys(connection: Connection, paging: Paging) -> Page[Row]:
    """API keys, oldest first, without their secrets."""
    return await _KEYS.fetch(connection, paging)


def _with_cause(record: Row) -> Row:
    return {**record, "cause": shown_cause(record["cause"])}


def _base64(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _json(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return data.decode(errors="backslashreplace")
