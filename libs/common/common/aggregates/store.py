"""Changes of aggregates: the row, its audit row, the counts and the event in one statement (ADR 2, ADR 6)."""

from collections.abc import Iterable, Sequence
from typing import Any, Generic
from uuid import UUID

from sqlalchemy import ColumnElement, UpdateBase

from common.aggregates.changes import Details, Locked, Write
from common.aggregates.statements import ChangeStatements
from common.aggregates.table import AggregateTable, T
from common.audit.actor import Actor
from common.audit.chain import ChainHead
from common.audit.entries import AuditEntry, Outcome, entry_parameters
from common.database.statements import Connection, Record
from common.messaging.outgoing.outbox import NewEvent


class AggregateStore(Generic[T]):
    """Locks and changes the aggregates of one table. `lock_columns` are read by `lock_row` beside the table's."""

    def __init__(self, rows: AggregateTable[T], *, lock_columns: Sequence[ColumnElement[Any]] = ()) -> None:
        self._rows = rows
        self._statements = ChangeStatements(rows, lock_columns)

    async def lock_row(
        self, connection: Connection, aggregate_id: UUID, visible_to: UUID | None = None
    ) -> Record | None:
        return await self._statements.lock.fetch_one(connection, **self._rows.key(aggregate_id, visible_to))

    def locked(self, row: Record) -> Locked[T]:
        """The row of `lock_row` as an aggregate."""
        sequence = row["sequence"] if self._statements.counts_events else 0
        return Locked(self._rows.load(row), row["now"], sequence, ChainHead(row["audit_position"], row["audit_hash"]))

    async def lock(
        self, connection: Connection, aggregate_id: UUID, visible_to: UUID | None = None
    ) -> Locked[T] | None:
        """The aggregate as it is once nobody else changes it; None if there is none that `visible_to` may see."""
        row = await self.lock_row(connection, aggregate_id, visible_to)
        return None if row is None else self.locked(row)

    async def lock_existing(self, connection: Connection, aggregate_id: UUID) -> Locked[T]:
        """As `lock`. Raises `LookupError` when there is no such aggregate."""
        locked = await self.lock(connection, aggregate_id)
        if locked is None:
            raise LookupError(f"no {self._rows.entity.lower()} {aggregate_id}")
        return locked

    async def add(
        self, connection: Connection, value: T, actor: Actor, details: Details, event: NewEvent, *writes: Write
    ) -> None:
        """A new aggregate with its audit row and its first event."""
        parameters = self.row_of(value) | self.creation(value, actor, details)
        await self._write(connection, self._statements.add, parameters, event, writes)

    async def save(
        self,
        connection: Connection,
        locked: Locked[T],
        changed: T,
        actor: Actor,
        details: Details,
        event: NewEvent | None = None,
        *writes: Write,
    ) -> None:
        """An accepted change with its audit row."""
        audited = self._audit(locked, changed.status, "ACCEPTED", actor, details)
        await self._write(
            connection, self._statements.save, self._changes(locked, changed, event) | audited, event, writes
        )

    async def refuse(
        self, connection: Connection, locked: Locked[T], new_state: str, actor: Actor, details: Details
    ) -> None:
        """The audit row of a refused transition to `new_state`; the aggregate does not change."""
        audited = self._audit(locked, new_state, "REFUSED", actor, details)
        await self._write(connection, self._statements.refuse, {"id": locked.value.id, **audited})

    async def refuse_and_save(
        self,
        connection: Connection,
        locked: Locked[T],
        new_state: str,
        changed: T,
        actor: Actor,
        details: Details,
        event: NewEvent,
        *writes: Write,
    ) -> None:
        """A refused transition to `new_state` that still changes the aggregate, but not its status."""
        audited = self._audit(locked, new_state, "REFUSED", actor, details)
        changes = self._changes(locked, changed, event)
        await self._write(connection, self._statements.refuse_and_save, changes | audited, event, writes)

    async def save_unaudited(
        self, connection: Connection, locked: Locked[T], changed: T, event: NewEvent | None = None, *writes: Write
    ) -> None:
        """A change that is no transition, such as a result from another service: without an audit row."""
        await self._write(
            connection, self._statements.save_unaudited, self._changes(locked, changed, event), event, writes
        )

    def row_of(self, value: T) -> dict[str, object]:
        """The parameters of a new row, apart from the head of its audit chain."""
        return self._rows.dump(value) | ({"sequence": 1} if self._statements.counts_events else {})

    def creation(self, value: T, actor: Actor, details: Details) -> dict[str, object]:
        """The parameters of a new aggregate's audit row."""
        entry = AuditEntry(
            self._rows.entity, value.id, None, value.status, "ACCEPTED", actor, value.created_at, details
        )
        return entry_parameters(entry, ChainHead())

    def _audit(
        self, locked: Locked[T], new_state: str, outcome: Outcome, actor: Actor, details: Details
    ) -> dict[str, object]:
        before = locked.value
        entry = AuditEntry(self._rows.entity, before.id, before.status, new_state, outcome, actor, locked.now, details)
        return entry_parameters(entry, locked.audit_head)

    def _changes(self, locked: Locked[T], changed: T, event: NewEvent | None) -> dict[str, object]:
        values = self._rows.dump(changed)
        parameters = {"id": changed.id, **{name: values[name] for name in self._rows.changing}}
        if self._statements.counts_events:
            parameters["sequence"] = locked.sequence if event is None else locked.sequence + 1
        return parameters

    async def _write(
        self,
        connection: Connection,
        parts: tuple[UpdateBase, ...],
        parameters: dict[str, object],
        event: NewEvent | None = None,
        writes: Iterable[Write] = (),
    ) -> None:
        statement, values = self._statements.compose(parts, parameters, event, writes)
        await statement.execute(connection, **values)
