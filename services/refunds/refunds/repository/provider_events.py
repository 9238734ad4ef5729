"""Storage of the provider's events as they were received, and of how far a sweep has read them (ADR 36)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from common.database.statements import Connection, prepare
from sqlalchemy import Interval, LargeBinary, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from refunds.tables import gateway_sweeps, provider_events

_new_event = insert(provider_events).values(
    provider=bindparam("provider"),
    event_id=bindparam("event_id"),
    event=bindparam("event", type_=JSONB),
    body=bindparam("body", type_=LargeBinary),
)
_STORE_EVENT = prepare(_new_event.on_conflict_do_nothing().returning(provider_events.c.event_id))
_EVENT = prepare(
    select(provider_events.c.event).where(
        provider_events.c.provider == bindparam("provider"), provider_events.c.event_id == bindparam("event_id")
    )
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


async def begin_sweep(connection: Connection, provider: str, interval: timedelta) -> tuple[bool, str | None]:
    """Whether a sweep is due, and its cursor. Of several workers, one sweeps in each interval."""
    row = await _BEGIN_SWEEP.fetch_one(connection, provider=provider, interval=interval)
    return (False, None) if row is None else (True, row["cursor"])


async def end_sweep(connection: Connection, provider: str, cursor: str | None) -> None:
    await _END_SWEEP.execute(connection, of_provider=provider, cursor=cursor)
