"""Storage of the provider's events as they were received, and of how far a sweep has read them (ADR 36)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from common.database.statements import Connection, Statement, prepare
from common.database.tables import jobs
from sqlalchemy import Integer, Interval, LargeBinary, Text, bindparam, cast, func, literal, null, select, true, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from refunds.tables import gateway_sweeps, provider_events

_new_event = insert(provider_events).values(
    provider=bindparam("provider"),
    event_id=bindparam("event_id"),
    event=bindparam("event", type_=JSONB),
    body=bindparam("body", type_=LargeBinary),
    applied_at=null(),
)
_STORE_EVENT = prepare(_new_event.on_conflict_do_nothing().returning(provider_events.c.event_id))
_EVENT = prepare(
    select(provider_events.c.event).where(
        provider_events.c.provider == bindparam("provider"), provider_events.c.event_id == bindparam("event_id")
    )
)
_MARK_APPLIED = prepare(
    update(provider_events)
    .where(provider_events.c.provider == bindparam("of_provider"), provider_events.c.event_id == bindparam("of_event"))
    .values(applied_at=func.now())
)

_begun_sweep = insert(gateway_sweeps).values(provider=bindparam("provider"), swept_at=func.now())
_BEGIN_SWEEP = prepare(
    _begun_sweep.on_conflict_do_update(
        index_elements=[gateway_sweeps.c.provider],
        set_={"swept_at": func.now()},
        where=gateway_sweeps.c.swept_at <= func.now() - bindparam("interval", type_=Interval),
    ).returning(gateway_sweeps.c.provider, gateway_sweeps.c.cursor)
)
_END_SWEEP = prepare(
    update(gateway_sweeps)
    .where(gateway_sweeps.c.provider == bindparam("of_provider"))
    .values(cursor=bindparam("cursor", type_=Text))
)


async def store_event(
    connection: Connection, provider: str, event_id: str, event: Mapping[str, Any], body: bytes | None
) -> bool:
    """False for an event that is stored already."""
    row = await _STORE_EVENT.fetch_value(connection, provider=provider, event_id=event_id, event=event, body=body)
    return row is not None


async def read_event(connection: Connection, provider: str, event_id: str) -> Mapping[str, Any]:
    """Raises `LookupError`."""
    event: Mapping[str, Any] | None = await _EVENT.fetch_value(connection, provider=provider, event_id=event_id)
    if event is None:
        raise LookupError(f"no event {event_id} of {provider}")
    return event


async def mark_applied(connection: Connection, provider: str, event_id: str) -> None:
    """It needs no job any more."""
    await _MARK_APPLIED.execute(connection, of_provider=provider, of_event=event_id)


def job_key(provider: str, event_id: str, repeats: int) -> str:
    """The business key of the job that applies the event for the first time (0), or again."""
    return f"{provider}:{event_id}:{repeats}" if repeats else f"{provider}:{event_id}"


def find_without_job(most_repeats: int) -> Statement:
    """The statement of a check: events that are not applied, and none of whose jobs is still to be done. `repeats` is
    the number of the job that is missing. A job that is dead or was discarded is known to the operators."""
    event = provider_events.c
    first = func.concat(event.provider, ":", event.event_id)
    keys = [first, *(func.concat(first, f":{repeats}") for repeats in range(1, most_repeats + 1))]
    done = (
        select(
            func.bool_and(jobs.c.state == literal("done", literal_execute=True)).label("are_all"),
            func.max(func.coalesce(cast(jobs.c.payload["repeats"].astext, Integer), 0)).label("last"),
        )
        .where(jobs.c.kind == bindparam("kind", type_=Text), jobs.c.business_key.in_(keys))
        .lateral("done")
    )
    return prepare(
        select(
            first.label("subject"),
            event.provider,
            event.event_id,
            func.coalesce(done.c.last + 1, 0).label("repeats"),
            event.received_at,
        )
        .select_from(provider_events.join(done, true()))
        .where(
            event.applied_at.is_(None),
            event.received_at < func.now() - bindparam("limit", type_=Interval),
            event.received_at > func.now() - bindparam("window", type_=Interval),
            func.coalesce(done.c.are_all, true()),
        )
        .order_by(event.received_at)
        .limit(bindparam("most", type_=Integer))
    )


async def begin_sweep(connection: Connection, provider: str, interval: timedelta) -> tuple[bool, str | None]:
    """Whether a sweep is due, and its cursor. Of several workers, one sweeps in each interval."""
    row = await _BEGIN_SWEEP.fetch_one(connection, provider=provider, interval=interval)
    return (False, None) if row is None else (True, row["cursor"])


async def end_sweep(connection: Connection, provider: str, cursor: str | None) -> None:
    await _END_SWEEP.execute(connection, of_provider=provider, cursor=cursor)
