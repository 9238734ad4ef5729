"""The audit trail: one append-only row for each accepted or refused change of an entity, written and read."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert, insert

from common.audit.actor import Actor
from common.audit.chain import SALT_SIZE, ChainHead, digest_of, hash_of
from common.database.statements import Connection, Record, array_rows, prepare, prepare_together
from common.database.tables import audit, audit_details
from common.paging import Page, Paging
from common.text.storable import storable

Outcome = Literal["ACCEPTED", "REFUSED"]

# `json.dumps` would make an encoder at each call.
_encode_details = json.JSONEncoder(ensure_ascii=False, default=str).encode
# What is written and read of a row: all but what only the sealer needs.
COLUMNS = tuple(column for column in audit.c if column is not audit.c.transaction_id)
_PARAMETER_OF = {column.name: f"audit_{column.name}" for column in COLUMNS}


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
        insert(audit).values({name: sa.bindparam(parameter) for name, parameter in _PARAMETER_OF.items()}),
        insert(audit_details).values(
            audit_id=sa.bindparam("audit_id"),
            salt=sa.bindparam("audit_salt"),
            details=sa.bindparam("audit_details"),
            ip_address=sa.bindparam("audit_ip_address"),
        ),
    )


def entry_parameters(entry: AuditEntry, head: ChainHead) -> dict[str, object]:
    """`audit_position` and `audit_hash` are the chain's new head, after `head`."""
    salt = secrets.token_bytes(SALT_SIZE)
    # A name may be personal data: among the details it can be erased.
    details = storable(_encode_details({"actor_name": entry.actor.name, **entry.details}))
    row: dict[str, Any] = {
        "id": uuid4(),
        "entity_type": entry.entity_type,
        "entity_id": entry.entity_id,
        "position": head.position + 1,
        "previous_state": entry.previous_state,
        "new_state": entry.new_state,
        "outcome": entry.outcome,
        "actor_id": None if entry.actor.id is None else str(entry.actor.id),
        "actor_type": entry.actor.type,
        "trigger": entry.actor.trigger,
        "created_at": entry.created_at,
        "details_digest": digest_of(salt, details, entry.actor.ip_address),
        "previous_hash": head.hash,
    }
    row["hash"] = hash_of(row)
    parameters: dict[str, object] = {_PARAMETER_OF[name]: value for name, value in row.items()}
    parameters |= {"audit_salt": salt, "audit_details": details, "audit_ip_address": entry.actor.ip_address}
    return parameters


_with_details = sa.select(
    *COLUMNS, audit_details.c.salt, audit_details.c.details, audit_details.c.ip_address
).select_from(audit.outerjoin(audit_details))
_of_entity = sa.and_(
    audit.c.entity_type == sa.bindparam("entity_type", type_=sa.Text),
    audit.c.entity_id == sa.bindparam("entity_id", type_=sa.Uuid),
)
# Neither the creation, which has no previous state, nor an amendment, whose states are equal.
_is_transition = sa.and_(audit.c.outcome == "ACCEPTED", audit.c.previous_state != audit.c.new_state)
_TRANSITIONS = prepare(_with_details.where(_of_entity, _is_transition).order_by(audit.c.position))
# Positions count from 1 without gaps: a page is found by index, and the last position is the number of all rows.
_after = sa.bindparam("offset", type_=sa.BigInteger)
_ROWS = prepare(
    _with_details.where(
        _of_entity, audit.c.position > _after, audit.c.position <= _after + sa.bindparam("limit", type_=sa.Integer)
    ).order_by(audit.c.position)
)
_LAST_LINK = prepare(
    sa.select(audit.c.position, audit.c.hash).where(_of_entity).order_by(audit.c.position.desc()).limit(1)
)
_entities = array_rows("entities", id=sa.Uuid)
_last_link = (
    sa.select(audit.c.entity_id, audit.c.position, audit.c.hash)
    .where(audit.c.entity_type == sa.bindparam("entity_type", type_=sa.Text), audit.c.entity_id == _entities.c.id)
    .order_by(audit.c.position.desc())
    .limit(sa.literal_column("1"))
    .lateral("last_link")
)
_LAST_LINKS = prepare(sa.select(_last_link).select_from(_entities.join(_last_link, sa.true())))
_LOCK_ENTITY = prepare(
    sa.select(
        sa.func.pg_advisory_xact_lock(
            sa.func.hashtextextended(
                sa.bindparam("entity_type", type_=sa.Text) + sa.bindparam("entity", type_=sa.Text), 0
            )
        )
    )
)
_APPEND = prepare_together(*insert_entry())


async def append(connection: Connection, entry: AuditEntry) -> None:
    """Write one row for an entity whose own row has no chain head (an operator's replay, an API key).

    An advisory lock on the entity is held until the transaction ends, so that its chain cannot fork.
    """
    await _LOCK_ENTITY.fetch_value(connection, entity_type=entry.entity_type, entity=str(entry.entity_id))
    last = await _LAST_LINK.fetch_one(connection, entity_type=entry.entity_type, entity_id=entry.entity_id)
    head = ChainHead(last["position"], last["hash"]) if last else ChainHead()
    await _APPEND.execute(connection, **entry_parameters(entry, head))


async def append_all(connection: Connection, entity_type: str, new: Sequence[AuditEntry]) -> None:
    """Write one row for each of many entities of a type, all different, in two round trips.

    The caller has locked the entities' own rows, as everybody does who writes a row about them: the chains cannot fork.
    """
    ids = [each.entity_id for each in new]
    rows = await _LAST_LINKS.fetch_all(connection, entity_type=entity_type, ids=ids)
    heads = {row["entity_id"]: ChainHead(row["position"], row["hash"]) for row in rows}
    parameters = (entry_parameters(each, heads.get(each.entity_id, ChainHead())) for each in new)
    await _APPEND.execute_many(connection, list(parameters))


async def find_history(
    connection: Connection, entity_type: str, entity_id: UUID, paging: Paging, *, everything: bool
) -> Page[Record]:
    """Rows with their details, oldest first: the accepted transitions, which are few, as states only move forward; with
    `everything`, also the creation, the amendments and the refused attempts."""
    if everything:
        last = await _LAST_LINK.fetch_one(connection, entity_type=entity_type, entity_id=entity_id)
        rows = await _ROWS.fetch_all(
            connection, entity_type=entity_type, entity_id=entity_id, limit=paging.limit, offset=paging.offset
        )
        return Page(rows, last["position"] if last is not None else 0)
    rows = await _TRANSITIONS.fetch_all(connection, entity_type=entity_type, entity_id=entity_id)
    return Page(rows[paging.offset : paging.offset + paging.limit], len(rows))
