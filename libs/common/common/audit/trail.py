"""Who changed what, when, and what was refused: append-only, and chained per entity by hashes (ADR 0006).

The chain covers ids, states and times, and a salted digest of free text and personal data. That text stands in a
table of its own, so that it can be erased for a person who asks for it while the chain still verifies.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Integer, Text, Uuid, and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import Insert, insert

from common.database import tables
from common.database.statements import Connection, prepare
from common.text.storable import storable

GENESIS = bytes(32)
# `json.dumps` would make an encoder at each call. What the second one writes is what every hash is over.
_encode_details = json.JSONEncoder(ensure_ascii=False, default=str).encode
_encode_covered = json.JSONEncoder(separators=(",", ":")).encode

ActorType = Literal["USER", "SYSTEM"]
Trigger = Literal["API_CALL", "EVENT", "BACKGROUND_JOB"]
Outcome = Literal["ACCEPTED", "REFUSED"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who or what acts, and the trace it acts in (a W3C `traceparent`)."""

    id: str | None
    type: ActorType
    trigger: Trigger
    traceparent: str
    ip_address: str | None = None
    causation_id: str | None = None


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
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where an entity's chain ends: kept in the entity's own row, and so read and moved under its lock."""

    position: int = 0
    hash: bytes = GENESIS


def insert_audit() -> Insert:
    """The insert as a part of a service's own statement (a CTE); `audit_parameters` fills it."""
    columns = tables.audit.c.keys()
    return insert(tables.audit).values({name: bindparam(f"audit_{name}") for name in columns})


def insert_audit_details() -> Insert:
    """Goes with `insert_audit`, later in the same statement."""
    return insert(tables.audit_details).values(
        audit_id=bindparam("audit_id"),
        salt=bindparam("audit_salt"),
        details=bindparam("audit_details"),
        ip_address=bindparam("audit_ip_address"),
    )


def audit_parameters(entry: AuditEntry, head: ChainHead) -> tuple[dict[str, Any], ChainHead]:
    """The parameters of both inserts, and the chain's new head."""
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
        "details_digest": _digest(salt, details, entry.actor.ip_address),
        "previous_hash": head.hash,
    }
    row["hash"] = _link(row)
    parameters = {f"audit_{name}": value for name, value in row.items()}
    parameters |= {"audit_salt": salt, "audit_details": details, "audit_ip_address": entry.actor.ip_address}
    return parameters, ChainHead(row["position"], row["hash"])


def _digest(salt: bytes, details: str, ip_address: str | None) -> bytes:
    return hashlib.sha256(salt + details.encode() + b"\0" + (ip_address or "").encode()).digest()


def _link(row: Mapping[str, Any]) -> bytes:
    """SHA-256 over the previous hash and the row; `created_at` counts in microseconds, as PostgreSQL stores it."""
    covered = [
        str(row["id"]),
        row["entity_type"],
        str(row["entity_id"]),
        row["position"],
        row["previous_state"],
        row["new_state"],
        row["outcome"],
        row["actor_id"],
        row["actor_type"],
        row["trigger"],
        row["created_at"].timestamp(),
        row["details_digest"].hex(),
    ]
    return hashlib.sha256(row["previous_hash"] + _encode_covered(covered).encode()).digest()


_WITH_DETAILS = select(
    *tables.audit.c,
    tables.audit_details.c.salt,
    tables.audit_details.c.details,
    tables.audit_details.c.ip_address,
).select_from(tables.audit.outerjoin(tables.audit_details))
_OF_ENTITY = and_(
    tables.audit.c.entity_type == bindparam("entity_type", type_=Text),
    tables.audit.c.entity_id == bindparam("entity_id", type_=Uuid),
)
_IS_TRANSITION = and_(tables.audit.c.outcome == "ACCEPTED", tables.audit.c.previous_state.is_not(None))
_TRANSITIONS = prepare(_WITH_DETAILS.where(_OF_ENTITY, _IS_TRANSITION).order_by(tables.audit.c.position))
# Positions count from 1 without gaps: a page is found by index, and the last position tells how many there are.
_after = bindparam("offset", type_=BigInteger)
_RECORDS = prepare(
    _WITH_DETAILS.where(
        _OF_ENTITY,
        tables.audit.c.position > _after,
        tables.audit.c.position <= _after + bindparam("limit", type_=Integer),
    ).order_by(tables.audit.c.position)
)
_ALL_RECORDS = prepare(_WITH_DETAILS.where(_OF_ENTITY).order_by(tables.audit.c.position))
_HEAD = prepare(
    select(tables.audit.c.position, tables.audit.c.hash)
    .where(_OF_ENTITY)
    .order_by(tables.audit.c.position.desc())
    .limit(1)
)
_LOCK_ENTITY = prepare(
    select(
        func.pg_advisory_xact_lock(
            func.hashtextextended(bindparam("entity_type", type_=Text) + bindparam("entity", type_=Text), 0)
        )
    )
)
_APPEND = prepare(insert_audit_details().add_cte(insert_audit().cte("audited")))


@dataclass(frozen=True, slots=True)
class HistoryWanted:
    """Which part of a history is asked for; `everything`: with the creation and the refused attempts."""

    everything: bool
    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some of an entity's rows with their details, oldest first, and how many there are in all."""

    rows: Sequence[Any]
    total: int


async def history(connection: Connection, entity_type: str, entity_id: UUID) -> list[Any]:
    """Every row of one entity with its details, oldest first: as many as there are."""
    return await _ALL_RECORDS.fetch_all(connection, entity_type=entity_type, entity_id=entity_id)


async def find_history(connection: Connection, entity_type: str, entity_id: UUID, wanted: HistoryWanted) -> HistoryPage:
    """The part that is wanted. The accepted transitions are few, as states only move forward."""
    if wanted.everything:
        last = await _HEAD.fetch_one(connection, entity_type=entity_type, entity_id=entity_id)
        rows = await _RECORDS.fetch_all(
            connection, entity_type=entity_type, entity_id=entity_id, limit=wanted.limit, offset=wanted.offset
        )
        return HistoryPage(rows, last["position"] if last is not None else 0)
    rows = await _TRANSITIONS.fetch_all(connection, entity_type=entity_type, entity_id=entity_id)
    return HistoryPage(rows[wanted.offset : wanted.offset + wanted.limit], len(rows))


async def record(connection: Connection, entry: AuditEntry) -> None:
    """Append one row for an entity that keeps no chain head of its own (an operator's replay, an API key).

    An advisory lock on the entity is held until the transaction ends, so that its chain cannot fork.
    """
    await _LOCK_ENTITY.fetch_value(connection, entity_type=entry.entity_type, entity=str(entry.entity_id))
    last = await _HEAD.fetch_one(connection, entity_type=entry.entity_type, entity_id=entry.entity_id)
    parameters, _ = audit_parameters(entry, ChainHead(last["position"], last["hash"]) if last else ChainHead())
    await _APPEND.execute(connection, **parameters)


class ChainCheck:
    """Checks one entity's chain row by row, in order of position."""

    def __init__(self) -> None:
        self._head = ChainHead()

    def holds(self, row: Any) -> bool:
        """Whether the next row verifies."""
        linked = (
            row["previous_hash"] == self._head.hash
            and row["position"] == self._head.position + 1
            and row["hash"] == _link(row)
        )
        self._head = ChainHead(row["position"], row["hash"])
        erased = row["salt"] is None
        return linked and (erased or _digest(row["salt"], row["details"], row["ip_address"]) == row["details_digest"])


def first_broken(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first row at which one entity's chain (rows in order of position) does not verify; None when all do."""
    check = ChainCheck()
    return next((row for row in rows if not check.holds(row)), None)
