"""Verification of all audit chains of a database (ADR 6)."""

from typing import Any

from sqlalchemy import select

from common.audit.chain import ChainCheck
from common.database.statements import Connection, prepare
from common.database.tables import audit, audit_details

_ROWS_AT_ONCE = 1000
_ALL = prepare(
    select(*audit.c, audit_details.c.salt, audit_details.c.details, audit_details.c.ip_address)
    .select_from(audit.outerjoin(audit_details))
    .order_by(audit.c.entity_type, audit.c.entity_id, audit.c.position)
)


async def verify_audit(connection: Connection) -> dict[str, Any]:
    """Read all rows, chain by chain, in the caller's transaction. `broken` is the first row that does not verify."""
    rows = entities = 0
    entity, check = None, ChainCheck()
    async for row in connection.cursor(_ALL.sql, prefetch=_ROWS_AT_ONCE):
        if entity != (row["entity_type"], row["entity_id"]):
            entity, check = (row["entity_type"], row["entity_id"]), ChainCheck()
            entities += 1
        rows += 1
        if not check.holds(row):
            broken = {name: row[name] for name in ("entity_type", "entity_id", "position", "id")}
            return {"rows": rows, "entities": entities, "broken": broken}
    return {"rows": rows, "entities": entities, "broken": None}
