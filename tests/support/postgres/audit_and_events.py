"""The audit rows and events of an entity, read from the tables."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from common.database.transactions import Pool
from support.postgres.audit_trail import first_broken, history


@dataclass(frozen=True)
class AuditAndEvents:
    """`transitions` is (previous state, new state, outcome), `events` (type, sequence); both oldest first."""

    transitions: list[tuple[str | None, str, str]]
    events: list[tuple[str, int]]

    def since(self, before: "AuditAndEvents") -> "AuditAndEvents":
        return AuditAndEvents(self.transitions[len(before.transitions) :], self.events[len(before.events) :])


async def audit_and_events(pool: Pool, entity_type: str, entity_id: str) -> AuditAndEvents:
    """Read both, and check that the hash chain is valid and the sequence has no gaps."""
    async with pool.acquire() as connection:
        rows = await history(connection, entity_type, UUID(entity_id))
        events = await connection.fetch(
            "SELECT type, sequence FROM outbox WHERE aggregateid = $1 ORDER BY position", entity_id
        )
    assert first_broken(rows) is None
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    return AuditAndEvents(
        [(row["previous_state"], row["new_state"], row["outcome"]) for row in rows],
        [(event["type"], event["sequence"]) for event in events],
    )


async def last_event(pool: Pool, entity_id: str) -> dict[str, Any]:
    """The data of the newest event, numbers with a fraction as decimals."""
    payload = await pool.fetchval(
        "SELECT payload FROM outbox WHERE aggregateid = $1 ORDER BY position DESC LIMIT 1", entity_id
    )
    data: dict[str, Any] = json.loads(payload, parse_float=Decimal)
    return data
