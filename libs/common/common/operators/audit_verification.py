"""Checks every audit chain of a database against tampering (ADR 0006)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from common.audit import first_broken
from common.database.statements import Connection, prepare
from common.database.tables import audit, audit_details

_ROWS_AT_ONCE = 1000
_ALL = prepare(
    select(*audit.c, audit_details.c.salt, audit_details.c.details, audit_details.c.ip_address)
    .select_from(audit.outerjoin(audit_details))
    .order_by(audit.c.entity_type, audit.c.entity_id, audit.c.position)
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` is the first row that does not verify."""

    rows: int
    entities: int
    broken: Mapping[str, Any] | None = None


async def verify(connection: Connection) -> Verdict:
    """Read all rows, chain by chain, in a transaction of the caller's; memory is bounded by the longest chain."""
    rows = entities = 0
    async for chain in _chains(connection):
        broken = first_broken(chain)
        rows += len(chain)
        entities += 1
        if broken is not None:
            return Verdict(rows, entities, broken)
    return Verdict(rows, entities)


async def _chains(connection: Connection) -> AsyncIterator[list[Any]]:
    chain: list[Any] = []
    async for row in connection.cursor(_ALL.sql, prefetch=_ROWS_AT_ONCE):
        if chain and (row["entity_type"], row["entity_id"]) != (chain[0]["entity_type"], chain[0]["entity_id"]):
            yield chain
            chain = []
        chain.append(row)
    if chain:
        yield chain
