"""Changes of aggregates: the row, its audit row, the counts and the event in one statement (ADR 0002, ADR 0006)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, UpdateBase, bindparam, func, insert, select, update

from common.aggregates.table import AggregateTable, T
from common.audit.actor import Actor
from common.audit.chain import ChainHead
from common.audit.entries import AuditEntry, Outcome, entry_parameters, insert_entry
from common.database.statements import Connection, Record, Statement, prepare, prepare_together
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent

Details: TypeAlias = Mapping[str, object]
Value = TypeVar("Value")

_HEAD = ("audit_position", "audit_hash")  # named as the parameters of the audit row: its position and hash are the head


@dataclass(frozen=True, slots=True)
class Locked(Generic[T]):
    """An aggregate that nobody else can change until the transaction ends, and the database's time.

    `sequence` is that of its last event; 0 where the aggregate does not count its events.
    """

    value: T
    now: datetime
    sequence: int
    audit_head: ChainHead


@dataclass(frozen=True, slots=True)
class Write:
    """One more write in the statement of a change; a `Part` makes it."""

    statement: UpdateBase
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Part(Generic[Value]):
    """A kind of `Write`. `parameters` gives the values of all parameters of the statement but `the_id`, which is the
    aggregate's."""

    statement: UpdateBase
    parameters: Callable[[Value], Mapping[str, object]]

    def __call__(self, value: Value) -> Write:
        return Write(self.statement, self.parameters(value))


class AggregateStore(Generic[T]):
    """Locks and changes the aggregates of one table. `lock_columns` are read by `lock_row` beside the table's.

    Each shape of a change has a statement of its own, compiled at its first use.
    """

    def __init__(self, rows: AggregateTable[T], *, lock_columns: Sequence[ColumnElement[Any]] = ()) -> None:
        table = rows.table
        self._rows = rows
        self._counts_events = "sequence" in table.c
        sequence = ("sequence",) if self._counts_events else ()
        # Not now(), the transaction's beginning: it may be before the time of a change that the lock was waited for.
        clock = func.clock_timestamp()
        now = func.greatest(clock, table.c.updated_at) if "updated_at" in table.c else clock
        read = {column.name for column in rows.columns}
        more = [table.c[name] for name in (*sequence, *_HEAD) if name not in read]
        self._lock = prepare(
            select(*rows.columns, now.label("now"), *more, *lock_columns)
            .where(rows.the_visible_row)
            .with_for_update(of=table)
        )
        changed = update(table).where(rows.the_row)
        audited = insert_entry()
        self.inserted = [column.name for column in table.c if column.server_default is None]
        self._add: tuple[UpdateBase, ...] = (insert(table).values(_parameters(self.inserted)), *audited)
        self._save: tuple[UpdateBase, ...] = (
            changed.values(_parameters((*rows.changing, *sequence, *_HEAD))),
            *audited,
        )
        self._refuse = (changed.values(_parameters(_HEAD)), *audited)
        self._refuse_and_save = self._save
        self._save_unaudited = (changed.values(_parameters((*rows.changing, *sequence))),)
        if rows.counts is not None:
            self._add += (rows.counts.arrival(),)
            self._save += (rows.counts.transition(),)
        self._event = outbox.insert_event() if self._counts_events else outbox.insert_next_event()
        self._prepared: dict[tuple[UpdateBase, ...], Statement] = {}

    async def lock_row(
        self, connection: Connection, aggregate_id: UUID, visible_to: UUID | None = None
    ) -> Record | None:
        return await self._lock.fetch_one(connection, **self._rows.key(aggregate_id, visible_to))

    def locked(self, row: Record) -> Locked[T]:
        """The row of `lock_row` as an aggregate."""
        sequence = row["sequence"] if self._counts_events else 0
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
        await self._write(connection, self._add, parameters, event, writes)

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
        await self._write(connection, self._save, self._changes(locked, changed, event) | audited, event, writes)

    async def refuse(
        self, connection: Connection, locked: Locked[T], new_state: str, actor: Actor, details: Details
    ) -> None:
        """The audit row of a refused transition to `new_state`; the aggregate does not change."""
        audited = self._audit(locked, new_state, "REFUSED", actor, details)
        await self._write(connection, self._refuse, {"id": locked.value.id, **audited})

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
        await self._write(connection, self._refuse_and_save, changes | audited, event, writes)

    async def save_unaudited(
        self, connection: Connection, locked: Locked[T], changed: T, event: NewEvent | None = None, *writes: Write
    ) -> None:
        """A change that is no transition, such as a result from another service: without an audit row."""
        await self._write(connection, self._save_unaudited, self._changes(locked, changed, event), event, writes)

    def row_of(self, value: T) -> dict[str, object]:
        """The parameters of a new row, apart from the head of its audit chain."""
        return self._rows.dump(value) | ({"sequence": 1} if self._counts_events else {})

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
        if self._counts_events:
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
        statement, parameters = self._compose(parts, parameters, event, writes)
        await statement.execute(connection, **parameters)

    def _compose(
        self,
        parts: tuple[UpdateBase, ...],
        parameters: dict[str, object],
        event: NewEvent | None,
        writes: Iterable[Write],
    ) -> tuple[Statement, dict[str, object]]:
        """One statement of the parts, the other writes and the event, with all parameters."""
        for write in writes:
            if clash := parameters.keys() & write.parameters.keys():
                raise TypeError(f"parameters of two writes have the same names: {sorted(clash)}")
            parts, parameters = (*parts, write.statement), {**parameters, **write.parameters}
        if event is not None:
            parts, parameters = (*parts, self._event), parameters | outbox.event_parameters(event)
            if self._counts_events:
                parameters["event_sequence"] = parameters["sequence"]
        if parts not in self._prepared:
            self._prepared[parts] = prepare_together(*parts)
        return self._prepared[parts], parameters


def _parameters(names: Iterable[str]) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(name) for name in names}
