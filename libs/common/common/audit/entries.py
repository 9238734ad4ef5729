"""Writing the audit trail: one append-only row for each accepted or refused change of an entity."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import Insert, insert

from common.audit.actor import Actor
from common.audit.chain import ChainHead, digest_of, hash_of
from common.audit.history import LAST_LINK
from common.database.statements import Connection, prepare
from common.database.tables import audit, audit_details
from common.text.storable import storable

Outcome = Literal["ACCEPTED", "REFUSED"]

# `json.dumps` would make an encoder at each call.
_encode_details = json.JSONEncoder(ensure_ascii=False, default=str).encode


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One accepted or refused change of one entity. `details` may hold free text and personal data."""

    entity_type: str
    entity_id: UUID
    previous_state: str | None
    new_state: str
    outcome: Outcome
    actor: Actor
    created_at: datetime
    details: Mapping[str, object] = field(default_factory=dict)


def insert_entry() -> tuple[Insert, Insert]:
    """The two inserts, in this order, as parts of one statement (CTEs); `entry_parameters` has their values."""
    return (
        insert(audit).values({name: bindparam(f"audit_{name}") for name in audit.c.keys()}),  # noqa: SIM118 - not a dict
        insert(audit_details).values(
            audit_id=bindparam("audit_id"),
            salt=bindparam("audit_salt"),
            details=bindparam("audit_details"),
            ip_address=bindparam("audit_ip_address"),
        ),
    )


def entry_parameters(entry: AuditEntry, head: ChainHead) -> dict[str, object]:
    """`audit_position` and `audit_hash` are the chain's new head, after `head`."""
    salt = secrets.token_bytes(16)
    details = storable(_encode_details(entry.details))
    row: dict[str, Any] = {
        "id": uuid4(),
        "entity_type": entry.entity_type,
        "entity_id": entry.entity_id,
        "position": head.position + 1,
        "previous_state": entry.previous_state,
        "new_state": entry.new_state,
        "outcome": entry.outcome,
        "actor_id": entry.actor.id,
        "actor_type": entry.actor.type,
        "trigger": entry.actor.trigger,
        "created_at": entry.created_at,
        "details_digest": digest_of(salt, details, entry.actor.ip_address),
        "previous_hash": head.hash,
    }
    row["hash"] = hash_of(row)
    parameters = {f"audit_{name}": value for name, value in row.items()}
    parameters |= {"audit_salt": salt, "audit_details": details, "audit_ip_address": entry.actor.ip_address}
    return parameters


_LOCK_ENTITY = prepare(
    select(
        func.pg_advisory_xact_lock(
            func.hashtextextended(bindparam("entity_type", type_=Text) + bindparam("entity", type_=Text), 0)
        )
    )
)
_entry, _details = insert_entry()
_APPEND = prepare(_details.add_cte(_entry.cte("audited")))


async def append(connection: Connection, entry: AuditEntry) -> None:
    """Write one row for an entity whose own row has no chain head (an operator's replay, an API key).

    An advisory lock on the entity is held until the transaction ends, so that its chain cannot fork.
    """
    await _LOCK_ENTITY.fetch_value(connection, entity_type=entry.entity_type, entity=str(entry.entity_id))
    last = await LAST_LINK.fetch_one(connection, entity_type=entry.entity_type, entity_id=entry.entity_id)
    head = ChainHead(last["position"], last["hash"]) if last else ChainHead()
    await _APPEND.execute(connection, **entry_parameters(entry, head))
