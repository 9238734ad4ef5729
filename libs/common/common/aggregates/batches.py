"""Creation of many aggregates at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic
from uuid import UUID

from sqlalchemy import ARRAY, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from common.aggregates.changes import Details, Write
from common.aggregates.store import AggregateStore
from common.aggregates.table import AggregateTable, T
from common.audit.actor import Actor
from common.audit.entries import insert_entry
from common.database.statements import Connection, prepare, prepare_together


@dataclass(frozen=True, slots=True)
class New(Generic[T]):
    """An aggregate to be created, and the audit row's actor and details."""

    value: T
    actor: Actor
    details: Details
    writes: tuple[Write, ...] = ()


class BatchStore(AggregateStore[T]):
    """An `AggregateStore` that also creates many aggregates in one round trip, without events."""

    def __init__(self, rows: AggregateTable[T]) -> None:
        super().__init__(rows)
        table = rows.table
        arrays = [bindparam(name, type_=ARRAY(table.c[name].type)) for name in self._statements.inserted]
        new = func.unnest(*arrays).table_valued(*self._statements.inserted).render_derived()
        insertion = insert(table).from_select(self._statements.inserted, select(new))
        self._insert_missing = prepare(insertion.on_conflict_do_nothing().returning(table.c.id))
        arrival = () if rows.counts is None else (rows.counts.arrival(),)
        self._audit_creation = prepare_together(*insert_entry(), *arrival)

    async def add_many(self, connection: Connection, new: Sequence[New[T]]) -> None:
        """Create all, each with its audit row; all have writes of the same kinds.

        Raises `UniqueViolationError` when one exists already.
        """
        composed = [
            self._statements.compose(
                self._statements.add, self.row_of(each.value) | self._creation(each), None, each.writes
            )
            for each in new
        ]
        if composed:
            await composed[0][0].execute_many(connection, [parameters for _, parameters in composed])

    async def add_missing(self, connection: Connection, new: Sequence[New[T]]) -> set[UUID]:
        """Create those whose unique columns are new, each with its audit row; returns their ids.

        Rows are inserted in the given order: sorted by a unique column, two callers cannot deadlock.
        """
        audited = {each.value.id: self._creation(each) for each in new}
        rows = [self.row_of(each.value) | audited[each.value.id] for each in new]
        columns = {name: [row[name] for row in rows] for name in self._statements.inserted}
        ids = {row["id"] for row in await self._insert_missing.fetch_all(connection, **columns)}
        await self._audit_creation.execute_many(connection, [audited[each] for each in ids])
        return ids

    def _creation(self, new: New[T]) -> dict[str, object]:
        return self.creation(new.value, new.actor, new.details)
