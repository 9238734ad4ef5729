"""The audit rows of an entity, and the check of their hash chain."""

from collections.abc import Iterable
from uuid import UUID

from common.audit.chain import ChainCheck, Row
from common.database.statements import Connection, Record


async def history(connection: Connection, entity_type: str, entity_id: UUID) -> list[Record]:
    """Every row of one entity with its details, oldest first."""
    return await connection.fetch(
        "SELECT audit.*, salt, details, ip_address FROM audit LEFT JOIN audit_details ON audit_id = id"
        " WHERE entity_type = $1 AND entity_id = $2 ORDER BY position",
        entity_type,
        entity_id,
    )


def first_broken(rows: Iterable[Row]) -> Row | None:
    """The first row of one entity's chain, in the order of positions, that does not verify; None when all do."""
    check = ChainCheck()
    return next((row for row in rows if not check.holds(row)), None)
