"""The rows of the audit log: its state, leaves, nodes and checkpoints, read and written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.audit.checkpoint import Checkpoint
from common.audit.merkle import Frontier
from common.database.statements import Connection, Record, prepare
from common.database.tables import audit, audit_checkpoints, audit_leaves, audit_log, audit_nodes

ROWS_AT_ONCE = 1000
_EVERY_TRANSACTION = 2**63 - 1
_NO_ROW = (-1, UUID(int=0))


@dataclass(frozen=True, slots=True)
class LogState:
    """`sealed` is the last audit row that was read: its transaction and id. `horizon` is the smallest transaction that
    was in progress at `now`: all before it have ended."""

    id: UUID
    size: int
    frontier: bytes
    sealed: tuple[int, UUID]
    continue_from: int | None
    horizon: int
    checkpoint_size: int
    now: datetime

    def name(self, service: str) -> str:
        """The log's name in checkpoints."""
        return log_name(service, self.id)


def log_name(service: str, log_id: UUID) -> str:
    return f"articurated/{service}/{log_id}"


_horizon = sa.cast(sa.cast(sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot()), sa.Text), sa.BigInteger)
_last_checkpoint = sa.func.coalesce(sa.select(sa.func.max(audit_checkpoints.c.size)).scalar_subquery(), 0)
_LOCK = prepare(
    sa.select(
        *audit_log.c,
        _horizon.label("horizon"),
        _last_checkpoint.label("checkpoint_size"),
        sa.func.clock_timestamp().label("now"),
    ).with_for_update(skip_locked=True, of=audit_log)
)
_is_sealed = (
    sa.exists()
    .where(audit_leaves.c.entity_type == audit.c.entity_type, audit_leaves.c.entity_id == audit.c.entity_id)
    .where(audit_leaves.c.position >= audit.c.position)
)
_place = sa.tuple_(audit.c.transaction_id, audit.c.id)
_NEXT = prepare(
    sa.select(
        *(audit.c.transaction_id, audit.c.id, audit.c.entity_type, audit.c.entity_id),
        *(audit.c.position, audit.c.hash, _is_sealed.label("is_sealed")),
    )
    .where(_place > sa.tuple_(sa.bindparam("transaction_id", type_=sa.BigInteger), sa.bindparam("id", type_=sa.Uuid)))
    .where(audit.c.transaction_id < sa.bindparam("before", type_=sa.BigInteger))
    .order_by(audit.c.transaction_id, audit.c.id)
    .limit(sa.literal_column(str(ROWS_AT_ONCE)))
)
_SAVE = prepare(
    sa.update(audit_log).values(
        size=sa.bindparam("size"),
        frontier=sa.bindparam("frontier"),
        transaction_id=sa.bindparam("transaction_id"),
        audit_id=sa.bindparam("audit_id"),
        continue_from=sa.bindparam("continue_from"),
    )
)
_ADD_CHECKPOINT = prepare(
    sa.insert(audit_checkpoints).values(
        size=sa.bindparam("size"), note=sa.bindparam("note"), created_at=sa.bindparam("created_at")
    )
)
_UNSTORED = prepare(
    sa.select(audit_checkpoints.c.note)
    .where(audit_checkpoints.c.size > sa.select(audit_log.c.stored_size).scalar_subquery())
    .order_by(audit_checkpoints.c.size.desc())
    .limit(sa.literal_column("1"))
)
_MARK_STORED = prepare(
    sa.update(audit_log).values(stored_size=sa.func.greatest(audit_log.c.stored_size, sa.bindparam("stored")))
)


async def lock(connection: Connection) -> LogState | None:
    """The state of the log, locked until the transaction ends; None while another process holds the lock.

    In another cluster transactions are counted anew. Then all rows are read again, without a horizon, and those that
    a leaf seals are skipped; rows of later transactions follow (`continue_from`).
    """
    row = await _LOCK.fetch_one(connection)
    if row is None:
        return None
    sealed, continue_from = (row["transaction_id"], row["audit_id"]), row["continue_from"]
    if continue_from is None and row["horizon"] <= row["transaction_id"]:
        sealed, continue_from = _NO_ROW, row["horizon"]
    unchanged = (row[name] for name in ("horizon", "checkpoint_size", "now"))
    return LogState(row["id"], row["size"], row["frontier"], sealed, continue_from, *unchanged)


async def next_rows(connection: Connection, state: LogState) -> list[Record]:
    """The next `ROWS_AT_ONCE` audit rows after the sealed ones; `is_sealed` is true of rows that a leaf seals."""
    transaction_id, audit_id = state.sealed
    before = state.horizon if state.continue_from is None else _EVERY_TRANSACTION
    return await _NEXT.fetch_all(connection, transaction_id=transaction_id, id=audit_id, before=before)


async def add(connection: Connection, leaves: Sequence[Sequence[Any]], nodes: Sequence[Sequence[Any]]) -> None:
    """Rows with all columns of their tables."""
    for table, rows in ((audit_leaves, leaves), (audit_nodes, nodes)):
        if rows:
            await connection.copy_records_to_table(table.name, records=rows, columns=list(table.c.keys()))


async def save(connection: Connection, state: LogState, frontier: Frontier, rows: Sequence[Record]) -> None:
    """The log has grown to `frontier` by the `rows`."""
    (transaction_id, audit_id), continue_from = state.sealed, state.continue_from
    if rows:
        transaction_id, audit_id = rows[-1]["transaction_id"], rows[-1]["id"]
    if continue_from is not None and len(rows) < ROWS_AT_ONCE:
        transaction_id, audit_id, continue_from = continue_from, UUID(int=0), None
    if rows or state.continue_from is not None:
        await _SAVE.execute(
            connection,
            size=frontier.size,
            frontier=bytes(frontier),
            transaction_id=transaction_id,
            audit_id=audit_id,
            continue_from=continue_from,
        )


async def add_checkpoint(connection: Connection, checkpoint: Checkpoint, note: str) -> None:
    await _ADD_CHECKPOINT.execute(connection, size=checkpoint.size, note=note, created_at=checkpoint.created_at)


async def unstored_note(connection: Connection) -> str | None:
    """The latest checkpoint, unless it is stored outside the database."""
    note: str | None = await _UNSTORED.fetch_value(connection)
    return note


async def mark_stored(connection: Connection, size: int) -> None:
    await _MARK_STORED.execute(connection, stored=size)
