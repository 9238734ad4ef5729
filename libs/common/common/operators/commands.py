"""What operators do, over HTTP or on the command line; every change leaves an audit row in its transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from common.access import api_keys
from common.access.auth import Role
from common.audit import trail
from common.audit.trail import Actor, AuditEntry
from common.database.statements import Connection
from common.database.transactions import is_connection_failure
from common.errors import Code, Problem, not_found, validation_error
from common.jobs import queue
from common.messaging.incoming import inbox
from common.messaging.incoming.records import Handlers
from common.messaging.outgoing import outbox
from common.operators.queries import find_event, find_job, find_poison

_log = structlog.get_logger(__name__)
_WHOLE_OUTBOX = UUID(int=0)


@dataclass(frozen=True, slots=True)
class WantedKey:
    """A key that somebody else made: `key` is `prefix.secret`."""

    name: str
    role: Role
    key: str
    customer_id: UUID | None = None


async def replay_job(connection: Connection, actor: Actor, job_id: UUID) -> dict[str, Any]:
    """Give a dead job a new round of tries. Raises `Problem` NOT_FOUND, or CONFLICT when it is not dead."""
    if not await queue.replay(connection, job_id):
        job = await find_job(connection, job_id)
        state = job["state"]
        raise Problem(Code.CONFLICT, f"Only a dead job is replayed; this one is {state}.", {"state": state})
    await _record(connection, actor, "JOB", job_id, "DEAD", "READY")
    return await find_job(connection, job_id)


async def replay_event(connection: Connection, actor: Actor, position: int) -> dict[str, Any]:
    """Let the relay try a parked event, and those of its key behind it, again.

    Raises `Problem` NOT_FOUND, or CONFLICT when it is not parked.
    """
    is_replayed = await outbox.replay(connection, position)
    event = await find_event(connection, position)
    if not is_replayed:
        raise Problem(Code.CONFLICT, f"Only a parked event is replayed; this one is {event['state']}.", event)
    await _record(connection, actor, "OUTBOX", event["id"], "PARKED", "PENDING")
    return {"position": position, **event}


async def send_events_again(connection: Connection, actor: Actor, since: datetime) -> dict[str, Any]:
    """For a Kafka that lost what it had. Consumers know the events that they have taken in, and let them pass."""
    count = await outbox.send_again(connection, since)
    details = {"since": since.isoformat(), "events": count}
    await _record(connection, actor, "OUTBOX", _WHOLE_OUTBOX, None, "PENDING", details)
    return details


async def replay_poison(
    connection: Connection, actor: Actor, consumer: str, handlers: Handlers, poison_id: UUID
) -> dict[str, Any]:
    """Put a kept record through the handlers again. Raises `Problem` NOT_FOUND, or CONFLICT when it cannot be handled
    even now, or was before."""
    try:
        await inbox.replay(connection, consumer, handlers, poison_id)
    except Exception as error:
        if isinstance(error, Problem) or is_connection_failure(error):
            raise
        _log.warning("poison replayed in vain", poison=poison_id, exc_info=error)
        raise Problem(Code.CONFLICT, "The record still cannot be handled; the log says why.") from error
    await _record(connection, actor, "POISON", poison_id, "KEPT", "REPLAYED")
    return await find_poison(connection, poison_id)


async def create_key(
    connection: Connection, actor: Actor, *, name: str, role: Role, customer_id: UUID | None
) -> dict[str, Any]:
    """A new API key; `key` is shown here and never again. Raises `Problem` VALIDATION_ERROR."""
    _check_binding(role, customer_id)
    key = await api_keys.create(connection, name=name, role=role, customer_id=customer_id)
    prefix = key.partition(".")[0]
    await _record_key(connection, actor, prefix, None, "ACTIVE")
    return {"prefix": prefix, "key": key, "name": name, "role": role, "customer_id": customer_id}


async def ensure_keys(connection: Connection, actor: Actor, wanted: Iterable[WantedKey]) -> dict[str, Any]:
    """Store keys that are not there yet. Raises `ValueError` for one that is there with another secret or role."""
    added = []
    for each in wanted:
        _check_binding(each.role, each.customer_id)
        prefix, _, secret = each.key.partition(".")
        if await api_keys.add(connection, key=each.key, name=each.name, role=each.role, customer_id=each.customer_id):
            await _record_key(connection, actor, prefix, None, "ACTIVE")
            added.append(prefix)
            continue
        stored = await api_keys.find(connection, prefix)
        same = (stored["secret_hash"], stored["role"], stored["customer_id"])
        if same != (api_keys.hash_secret(secret.encode()), each.role, each.customer_id):
            raise ValueError(f"key {prefix} is there with another secret, role or customer")
        if stored["revoked_at"] is not None:
            raise ValueError(f"key {prefix} was revoked: take a new one")
    return {"added": added}


async def revoke_key(connection: Connection, actor: Actor, prefix: str) -> dict[str, Any]:
    """Refuse a key from now on. Raises `Problem` NOT_FOUND, or CONFLICT when it was revoked before."""
    if not await api_keys.revoke(connection, prefix):
        if await api_keys.find(connection, prefix) is None:
            raise not_found("api_key", prefix)
        raise Problem(Code.CONFLICT, "The key was revoked before.", {"prefix": prefix})
    await _record_key(connection, actor, prefix, "ACTIVE", "REVOKED")
    return {"prefix": prefix, "state": "revoked"}


async def list_keys(connection: Connection, *, limit: int | None = None, offset: int = 0) -> Mapping[str, Any]:
    """Oldest first, without their secrets; without a limit all of them."""
    rows = await api_keys.list_page(connection, limit=limit, offset=offset)
    total = await api_keys.count(connection)
    page = {"limit": limit, "offset": offset, "total": total, "has_more": offset + len(rows) < total}
    return {"data": [dict(row) for row in rows], "pagination": page}


def _check_binding(role: Role, customer_id: UUID | None) -> None:
    if customer_id is not None and role is not Role.CLIENT:
        raise validation_error("customer_id", "only a client's key is bound to a customer")


async def _record_key(connection: Connection, actor: Actor, prefix: str, before: str | None, after: str) -> None:
    await _record(connection, actor, "API_KEY", api_keys.entity_id(prefix), before, after, {"prefix": prefix})


async def _record(
    connection: Connection,
    actor: Actor,
    entity_type: str,
    entity_id: UUID,
    before: str | None,
    after: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    entry = AuditEntry(entity_type, entity_id, before, after, "ACCEPTED", actor, datetime.now(UTC), details or {})
    await trail.record(connection, entry)
