"""The export of the audit trail as lines of JSON, for `examples/verify_audit.py`.

A head with the latest checkpoint, the leaves of the log, all audit rows chain by chain, and a last line.
"""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from common.audit.checkpoint import Checkpoint
from common.audit.entries import COLUMNS
from common.audit.log_rows import log_name
from common.database.statements import Record, prepare
from common.database.tables import audit, audit_checkpoints, audit_details, audit_leaves, audit_log
from common.database.transactions import Pool, reading

ROWS_AT_ONCE = 500
END = {"kind": "end"}

_encode = msgspec.json.Encoder().encode_lines
_latest = (
    sa.select(audit_checkpoints.c.note)
    .order_by(audit_checkpoints.c.size.desc())
    .limit(sa.literal_column("1"))
    .scalar_subquery()
)
_HEAD = prepare(sa.select(audit_log.c.id, _latest.label("note")))
_limit: sa.ColumnElement[Any] = sa.literal_column(str(ROWS_AT_ONCE))
_LEAVES = prepare(
    sa.select(audit_leaves)
    .where(audit_leaves.c.index >= sa.bindparam("first"), audit_leaves.c.index < sa.bindparam("end"))
    .order_by(audit_leaves.c.index)
    .limit(_limit)
)
_place = (audit.c.entity_type, audit.c.entity_id, audit.c.position)
_last = (sa.bindparam(column.name, type_=column.type) for column in _place)
_ROWS = prepare(
    sa.select(*COLUMNS, audit_details.c.salt, audit_details.c.details, audit_details.c.ip_address)
    .select_from(audit.outerjoin(audit_details))
    .where(sa.tuple_(*_place) > sa.tuple_(*_last))
    .order_by(*_place)
    .limit(_limit)
)


async def export_lines(pool: Pool, service: str, public_key: str | None, *, with_details: bool) -> AsyncIterator[bytes]:
    """In parts of `ROWS_AT_ONCE` rows, each read with a connection of its own, so that a slow reader holds none.

    The rows may be newer than the leaves. Without the details there is no personal data in it.
    """
    async with reading(pool) as connection:
        head = await _HEAD.fetch_one(connection)
    if head is None:
        raise LookupError("the audit log has no state")
    notes = [] if head["note"] is None else [head["note"]]
    yield _encode([head_item(log_name(service, head["id"]), public_key, notes)])
    first, end = 0, Checkpoint.parse(head["note"]).size if notes else 0
    while first < end:
        async with reading(pool) as connection:
            leaves = await _LEAVES.fetch_all(connection, first=first, end=end)
        if not leaves:
            break
        yield _encode([leaf_item(each) for each in leaves])
        first = leaves[-1]["index"] + 1
    last = {"entity_type": "", "entity_id": UUID(int=0), "position": 0}
    while True:
        async with reading(pool) as connection:
            rows = await _ROWS.fetch_all(connection, **last)
        if not rows:
            break
        yield _encode([row_item(each, with_details=with_details) for each in rows])
        last = {name: rows[-1][name] for name in last}
    yield _encode([END])


def head_item(log: str, public_key: str | None, notes: list[str]) -> dict[str, object]:
    return {"kind": "export", "version": 1, "log": log, "public_key": public_key, "checkpoints": notes}


def leaf_item(leaf: Record | dict[str, Any]) -> dict[str, object]:
    return {"kind": "leaf", **leaf, "hash": leaf["hash"].hex()}


def row_item(row: Record | dict[str, Any], *, with_details: bool) -> dict[str, object]:
    """Hashes and the salt as hexadecimal digits."""
    item: dict[str, object] = {"kind": "row", **{column.name: row[column.name] for column in COLUMNS}}
    item |= {name: row[name].hex() for name in ("details_digest", "previous_hash", "hash")}
    if with_details:
        salt = row["salt"]
        item |= {"salt": None if salt is None else salt.hex(), "details": row["details"]}
        item["ip_address"] = row["ip_address"]
    return item
