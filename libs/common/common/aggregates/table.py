"""The description of an aggregate's table, from which its statements are made."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import BindParameter, Column, ColumnElement, Table, Uuid, bindparam, or_

from common.aggregates.counts import StatusCounts
from common.database.statements import Record


class Aggregate(Protocol):
    """Immutable: a change gives a new value with the same `id`. `status` may be a `StrEnum`."""

    @property
    def id(self) -> UUID: ...
    @property
    def status(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


T = TypeVar("T", bound=Aggregate)

_visible_to: BindParameter[UUID | None] = bindparam("visible_to", type_=Uuid)


@dataclass(frozen=True, slots=True)
class AggregateTable(Generic[T]):
    """A table with one row per aggregate; `entity` is the aggregate's name in the audit trail.

    `columns` are read, and `load` makes an aggregate of them. `dump` gives the values of the aggregate's own columns;
    a change writes those in `changing`, and none with a default in the database is inserted. `owner` is the column
    with the customer who may see the row.

    The table also has the head of the aggregate's audit chain (`audit_position`, `audit_hash`), and a `sequence` where
    the aggregate counts its events itself: what must be current under the row's lock is in the row.
    """

    # The aggregate's id in every statement about one aggregate.
    the_id: ClassVar[BindParameter[UUID]] = bindparam("id", type_=Uuid)

    table: Table
    entity: str
    columns: Sequence[ColumnElement[Any]]
    load: Callable[[Record], T]
    dump: Callable[[T], dict[str, Any]]
    changing: Collection[str]
    counts: StatusCounts[Any] | None = None
    owner: Column[UUID] | None = None

    @property
    def the_row(self) -> ColumnElement[bool]:
        return self.table.c.id == self.the_id

    @property
    def the_visible_row(self) -> ColumnElement[bool]:
        """The row, if `visible_to` is null or its owner. A row of somebody else is handled as one that does not exist:
        by the same statement, without a lock, and so in the same time."""
        if self.owner is None:
            return self.the_row
        return self.the_row & or_(_visible_to.is_(None), self.owner == _visible_to)

    def key(self, aggregate_id: UUID, visible_to: UUID | None) -> dict[str, UUID | None]:
        """The parameters of `the_visible_row`."""
        if self.owner is None and visible_to is None:
            return {"id": aggregate_id}
        return {"id": aggregate_id, "visible_to": visible_to}
