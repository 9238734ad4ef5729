"""Changes of aggregates: the row, its audit row, counts, other writes and the event in one statement (ADR 2, ADR 6).

The statement's parameters are the columns of the row by their names, `audit_…` for the audit row and `event_…` for the
event. The position and the hash of the audit row are also the row's new chain head, so each of the two is one parameter
of the statement.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from common.aggregates.changes import Details, Locked, New, Write
from common.aggregates.table import AggregateTable, T
from common.audit.actor import Actor
from common.audit.chain import ChainHead
from common.audit.entries import AuditEntry, Outcome, entry_parameters, insert_entry
from common.database.notifier import Channel, announce
from common.database.statements import Connection, Statement, prepare, prepare_together
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent

_HEAD = ("audit_position", "audit_hash")

Parameters: TypeAlias = dict[str, object]


class AggregateStore(Generic[T]):
    """Locks and changes the aggregates of one table. `lock` reads `lock_columns` in addition to the table's
    columns."""

    def __init__(self, rows: AggregateTable[T], *, lock_columns: Sequence[sa.ColumnElement[Any]] = ()) -> None:
        self._rows = rows
        table, counts = rows.table, rows.counts
        self._sequence = ("sequence",) if "sequence" in table.c else ()
        # Not now(), the transaction's beginning: it may be before the time of a change that the lock was waited for.
        clock = sa.func.clock_timestamp()
        now = sa.func.greatest(clock, table.c.updated_at) if "updated_at" in table.c else clock
        columns_read = {column.name for column in rows.columns}
        further_columns = [table.c[name] for name in (*self._sequence, *_HEAD) if name not in columns_read]
        self._lock = prepare(
            sa.select(*rows.columns, now.label("now"), *further_columns, *lock_columns)
            .where(rows.the_visible_row)
            .with_for_update(of=table)
        )
        # The parts of each kind of change.
        update = sa.update(table).where(rows.the_row)
        changing_columns = (*rows.changing, *self._sequence)
        audit_insert = insert_entry()
        self._arrival = (*audit_insert, *(() if counts is None else (counts.arrival(),)))
        self._inserted = [column.name for column in table.c if column.server_default is None]
        self._add = (sa.insert(table).values(_parameters(self._inserted)), *self._arrival)
        self._refuse = (update.values(_parameters(_HEAD)), *audit_insert)
        self._refuse_and_save = (update.values(_parameters((*changing_columns, *_HEAD))), *audit_insert)
        self._save = (*self._refuse_and_save, *(() if counts is None else (counts.transition(),)))
        self._amend = (update.values(_parameters((*rows.amending, *_HEAD))), *audit_insert)
        self._save_unaudited = (update.values(_parameters(changing_columns)),)
        self._event = outbox.insert_event() if self._sequence else outbox.insert_next_event()
        self._prepared: dict[tuple[sa.UpdateBase, ...], Statement] = {}

    async def lock(
        self, connection: Connection, aggregate_id: UUID, visible_to: UUID | None = None
    ) -> Locked[T] | None:
        """The aggregate as it is once nobody else changes it; None if there is none that `visible_to` may see."""
        row = await self._lock.fetch_one(connection, **self._rows.key(aggregate_id, visible_to))
        return None if row is None else Locked(self._rows.load(row), row["now"], row)

    async def lock_existing(self, connection: Connection, aggregate_id: UUID) -> Locked[T]:
        """As `lock`. Raises `LookupError` when there is no such aggregate."""
        locked = await self.lock(connection, aggregate_id)
        if locked is None:
            raise self._rows.missing(aggregate_id)
        return locked

    async def add(
        self, connection: Connection, value: T, actor: Actor, details: Details, event: NewEvent, *writes: Write
    ) -> None:
        """A new aggregate with its audit row and its first event."""
        await self._write(connection, self._add, self._creation(New(value, actor, details)), event, writes)

    async def add_many(self, connection: Connection, new: Sequence[New[T]]) -> None:
        """Create all in one round trip, each with its audit row, without events; all have writes of the same kinds.

        Raises `UniqueViolationError` when one exists already.
        """
        statements = [self._compose(self._add, self._creation(each), writes=each.writes) for each in new]
        if statements:
            await statements[0][0].execute_many(connection, [parameters for _, parameters in statements])

    async def add_missing(self, connection: Connection, new: Sequence[New[T]]) -> set[UUID]:
        """Create those whose unique columns are new, each with its audit row, without events; returns their ids.

        Rows are inserted in the given order: sorted by a unique column, two callers cannot deadlock.
        """
        audit_rows = {each.value.id: self._new_audit(each) for each in new}
        rows = [self._new_row(each.value) | audit_rows[each.value.id] for each in new]
        columns = {name: [row[name] for row in rows] for name in self._inserted}
        insert_missing, audit_creation = self._missing
        ids = {row["id"] for row in await insert_missing.fetch_all(connection, **columns)}
        await audit_creation.execute_many(connection, [audit_rows[each] for each in ids])
        return ids

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
        parameters = self._changes(locked, changed, event)
        parameters |= self._audit(locked, changed.status, "ACCEPTED", actor, details)
        await self._write(connection, self._save, parameters, event, writes)

    async def amend(
        self, connection: Connection, locked: Locked[T], changed: T, actor: Actor, details: Details
    ) -> None:
        """An accepted change that is no transition, of the columns `amending`, with its audit row and without an event.

        In the audit row both states are the current one.
        """
        values = self._rows.dump(changed)
        parameters: Parameters = {name: values[name] for name in self._rows.amending} | {"id": changed.id}
        parameters |= self._audit(locked, changed.status, "ACCEPTED", actor, details)
        await self._write(connection, self._amend, parameters)

    async def refuse(
        self,
        connection: Connection,
        locked: Locked[T],
        new_state: str,
        actor: Actor,
        details: Details,
        changed: T | None = None,
        event: NewEvent | None = None,
        *writes: Write,
    ) -> None:
        """The audit row of a refused transition to `new_state`. The aggregate may change, but not its status."""
        parts = self._refuse if changed is None else self._refuse_and_save
        parameters: Parameters = {"id": locked.value.id} if changed is None else self._changes(locked, changed, event)
        parameters |= self._audit(locked, new_state, "REFUSED", actor, details)
        await self._write(connection, parts, parameters, event, writes)

    async def save_unaudited(
        self, connection: Connection, locked: Locked[T], changed: T, event: NewEvent | None = None, *writes: Write
    ) -> None:
        """A change that is no transition, such as a result from another service: without an audit row."""
        await self._write(connection, self._save_unaudited, self._changes(locked, changed, event), event, writes)

    @cached_property
    def _missing(self) -> tuple[Statement, Statement]:
        """The statements of `add_missing`."""
        table = self._rows.table
        arrays = [sa.bindparam(name, type_=sa.ARRAY(table.c[name].type)) for name in self._inserted]
        new = sa.func.unnest(*arrays).table_valued(*self._inserted).render_derived()
        insertion = insert(table).from_select(self._inserted, sa.select(new)).on_conflict_do_nothing()
        return prepare(insertion.returning(table.c.id)), prepare_together(*self._arrival)

    def _new_row(self, value: T) -> Parameters:
        """The parameters of a new row, apart from the head of its audit chain."""
        return self._rows.dump(value) | dict.fromkeys(self._sequence, 1)

    def _new_audit(self, new: New[T]) -> Parameters:
        value, entity = new.value, self._rows.entity
        entry = AuditEntry(entity, value.id, None, value.status, "ACCEPTED", new.actor, value.created_at, new.details)
        return entry_parameters(entry, ChainHead())

    def _creation(self, new: New[T]) -> Parameters:
        return self._new_row(new.value) | self._new_audit(new)

    def _audit(self, locked: Locked[T], new_state: str, outcome: Outcome, actor: Actor, details: Details) -> Parameters:
        before, row = locked.value, locked.row
        entry = AuditEntry(self._rows.entity, before.id, before.status, new_state, outcome, actor, locked.now, details)
        return entry_parameters(entry, ChainHead(row["audit_position"], row["audit_hash"]))

    def _changes(self, locked: Locked[T], changed: T, event: NewEvent | None) -> Parameters:
        values = self._rows.dump(changed)
        parameters: Parameters = {name: values[name] for name in self._rows.changing}
        parameters["id"] = changed.id
        if self._sequence:
            parameters["sequence"] = locked.row["sequence"] + (event is not None)
        return parameters

    def _compose(
        self,
        parts: tuple[sa.UpdateBase, ...],
        parameters: Parameters,
        event: NewEvent | None = None,
        writes: Iterable[Write] = (),
    ) -> tuple[Statement, Parameters]:
        """One statement of the parts, the other writes and the event, and `parameters`, to which theirs are added."""
        for write in writes:
            if clash := parameters.keys() & write.parameters.keys():
                raise TypeError(f"parameters of two writes have the same names: {sorted(clash)}")
            parts += (write.statement,)
            parameters |= write.parameters
        if event is not None:
            parts += (self._event,)
            parameters |= outbox.event_parameters(event)
            if self._sequence:
                parameters["event_sequence"] = parameters["sequence"]
        statement = self._prepared.get(parts)
        if statement is None:
            statement = self._prepared[parts] = prepare_together(*parts)
        return statement, parameters

    async def _write(
        self,
        connection: Connection,
        parts: tuple[sa.UpdateBase, ...],
        parameters: Parameters,
        event: NewEvent | None = None,
        writes: Iterable[Write] = (),
    ) -> None:
        statement, parameters = self._compose(parts, parameters, event, writes)
        await statement.execute(connection, **parameters)
        if event is not None:
            announce(connection, Channel.EVENTS)


def _parameters(names: Iterable[str]) -> dict[str, sa.BindParameter[Any]]:
    return {name: sa.bindparam(name) for name in names}
