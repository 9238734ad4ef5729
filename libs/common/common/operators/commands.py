"""Commands of operators, over HTTP or on the command line; each writes an audit row in its transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from pydantic import AwareDatetime, Field

from common.access import api_keys
from common.access.actors import is_name
from common.access.api_keys import KeyOptions
from common.access.auth import Role
from common.audit.actor import Actor
from common.database.statements import Connection
from common.database.transactions import is_connection_failure
from common.errors import Code, Problem
from common.messaging.incoming.poison import discard, replay
from common.messaging.outgoing import outbox
from common.operators.auditing import record
from common.operators.queries import find_discrepancy, find_event, find_poison
from common.reconciliation import discrepancies
from common.service import Runtime

_log = structlog.get_logger(__name__)
_WHOLE_OUTBOX = UUID(int=0)
LARGEST_RATE_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class ImportedKey:
    """A key that was made elsewhere: `key` is `prefix.secret`."""

    name: str
    role: Role
    key: str
    customer_id: UUID | None = None
    expires_at: AwareDatetime | None = None
    rate_limit: Annotated[int, Field(ge=0, le=LARGEST_RATE_LIMIT)] | None = None
    subject: str | None = None

    @property
    def options(self) -> KeyOptions:
        return KeyOptions(self.customer_id, self.expires_at, self.rate_limit, self.subject)


async def replay_event(connection: Connection, actor: Actor, position: int) -> dict[str, Any]:
    """Let the relay try a parked event, and those of its key behind it, again.

    Raises `Problem` NOT_FOUND, or CONFLICT when it is not parked.
    """
    is_replayed = await outbox.replay(connection, position)
    event = await find_event(connection, position)
    if not is_replayed:
        raise Problem(Code.CONFLICT, f"Only a parked event is replayed; this one is {event['state']}.", event)
    await record(connection, actor, "OUTBOX", event["id"], "PARKED", "PENDING")
    return {"position": position, **event}


async def send_events_again(connection: Connection, actor: Actor, since: datetime) -> dict[str, Any]:
    """Publish events again after Kafka lost them. Consumers skip the events that they consumed before."""
    count = await outbox.send_again(connection, since)
    details = {"since": since.isoformat(), "events": count}
    await record(connection, actor, "OUTBOX", _WHOLE_OUTBOX, None, "PENDING", details)
    return details


async def replay_poison(connection: Connection, actor: Actor, runtime: Runtime[Any], poison_id: UUID) -> dict[str, Any]:
    """Process a poison record again. Raises `Problem` NOT_FOUND, or CONFLICT when the handlers fail again or the record
    was replayed before."""
    service = runtime.service
    try:
        await replay(connection, service.name, service.event_handlers(runtime.settings), poison_id)
    except Exception as error:
        if isinstance(error, Problem) or is_connection_failure(error):
            raise
        _log.warning("poison replayed in vain", poison=poison_id, exc_info=error)
        raise Problem(Code.CONFLICT, "The record still cannot be handled; the log says why.") from error
    await record(connection, actor, "POISON", poison_id, "KEPT", "REPLAYED")
    return await find_poison(connection, poison_id)


async def discard_poison(connection: Connection, actor: Actor, poison_id: UUID, reason: str) -> dict[str, Any]:
    """Decide that a poison record is never to be processed. Raises `Problem` NOT_FOUND, or CONFLICT when it is not
    kept."""
    is_discarded = await discard(connection, poison_id, reason, actor.name)
    stored_record = await find_poison(connection, poison_id)
    if not is_discarded:
        state = stored_record["state"]
        raise Problem(Code.CONFLICT, f"Only a record that is kept is discarded; this one is {state}.", {"state": state})
    await record(connection, actor, "POISON", poison_id, "KEPT", "DISCARDED", {"reason": reason})
    return stored_record


async def acknowledge_discrepancy(
    connection: Connection, actor: Actor, discrepancy_id: UUID, reason: str, details: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Decide that nothing more is to be done about a discrepancy as it is. `details` are those that the person was
    shown, or None. Raises `Problem` NOT_FOUND, or CONFLICT when it is resolved, was acknowledged before, or has other
    details by now."""
    open_details = await discrepancies.lock_open(connection, discrepancy_id)
    found = await find_discrepancy(connection, discrepancy_id)
    if open_details is None:
        state = "already acknowledged" if found["resolved_at"] is None else "resolved"
        message = f"Only an open discrepancy can be acknowledged; this one is {state}."
        raise Problem(Code.CONFLICT, message, {"state": state.removeprefix("already ")})
    if details is not None and not open_details.are_those(details):
        message = "The discrepancy has changed: its details are not those that were given."
        raise Problem(Code.CONFLICT, message, {"state": "open"})
    await discrepancies.acknowledge(connection, discrepancy_id, reason, actor.name)
    audited = {"reason": reason, "check": found["check"], "subject": found["subject"]}
    await record(connection, actor, discrepancies.ENTITY, discrepancy_id, "OPEN", "ACKNOWLEDGED", audited)
    return await find_discrepancy(connection, discrepancy_id)


async def create_key(
    connection: Connection, actor: Actor, name: str | None, role: Role, options: KeyOptions
) -> dict[str, Any]:
    """A new API key, with its role for a name if it has none; `key` is in this result only.

    Raises `Problem` VALIDATION_ERROR.
    """
    _check_options(role, options)
    if options.expires_at is not None and options.expires_at <= datetime.now(UTC):
        raise Problem.invalid("expires_at", "must be in the future")
    name = name or role
    key = await api_keys.create(connection, name=name, role=role, options=options)
    prefix = key.partition(".")[0]
    await _audit_new_key(connection, actor, prefix, options)
    return {"prefix": prefix, "key": key, "name": name, "role": role, **asdict(options)}


async def ensure_keys(connection: Connection, actor: Actor, keys: Iterable[ImportedKey]) -> dict[str, Any]:
    """Store keys that are not stored yet. Raises `ValueError` for one that is stored with other properties."""
    added = []
    for each in keys:
        _check_options(each.role, each.options)
        prefix, _, secret = each.key.partition(".")
        if await api_keys.add(connection, key=each.key, name=each.name, role=each.role, options=each.options):
            await _audit_new_key(connection, actor, prefix, each.options)
            added.append(prefix)
            continue
        stored = await api_keys.find(connection, prefix)
        properties = {name: stored[name] for name in ("secret_hash", "role", *asdict(each.options))}
        if properties != {
            "secret_hash": api_keys.hash_secret(secret.encode()),
            "role": each.role,
            **asdict(each.options),
        }:
            raise ValueError(
                f"key {prefix} is there with another secret, role, customer, expiry, rate limit or subject"
            )
        if stored["revoked_at"] is not None:
            raise ValueError(f"key {prefix} was revoked: take a new one")
    return {"added": added}


async def revoke_key(connection: Connection, actor: Actor, prefix: str) -> dict[str, Any]:
    """Refuse a key from now on. Raises `Problem` NOT_FOUND, or CONFLICT when it was revoked before."""
    if not await api_keys.revoke(connection, prefix):
        if await api_keys.find(connection, prefix) is None:
            raise Problem.not_found("api_key", prefix)
        raise Problem(Code.CONFLICT, "The key was revoked before.", {"prefix": prefix})
    await _audit_key(connection, actor, prefix, "ACTIVE", "REVOKED")
    return {"prefix": prefix, "state": "revoked"}


def _check_options(role: Role, options: KeyOptions) -> None:
    if options.customer_id is not None and role is not Role.CLIENT:
        raise Problem.invalid("customer_id", "only a client's key is bound to a customer")
    if options.subject is not None and not is_name(options.subject):
        raise Problem.invalid("subject", "must have 1 to 255 visible characters")


async def _audit_new_key(connection: Connection, actor: Actor, prefix: str, options: KeyOptions) -> None:
    chosen = {name: value for name, value in asdict(options).items() if value is not None}
    await _audit_key(connection, actor, prefix, None, "ACTIVE", chosen)


async def _audit_key(
    connection: Connection,
    actor: Actor,
    prefix: str,
    before: str | None,
    after: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    entity_id, details = api_keys.entity_id(prefix), {"prefix": prefix, **(details or {})}
    await record(connection, actor, "API_KEY", entity_id, before, after, details)
