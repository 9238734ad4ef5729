"""The description of an aggregate's table, and reading one aggregate without a lock."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

import sqlalchemy as sa

from common.aggregates.counts import StatusCounts
from common.database.statements import Connection, Record, prepare


class Aggregate(Protocol):
    """Immutable: a change gives a new value with the same `id`. `status` may be a `StrEnum`."""

    @property
    def id(self) -> UUID: ...
    @property
    def status(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


T = TypeVar("T", bound=Aggregate)

_visible_to: sa.BindParameter[UUID | None] = sa.bindparam("visible_to", type_=sa.Uuid)


@dataclass(eq=False)
class AggregateTable(Generic[T]):
    """A table with one row per aggregate; `entity` is the aggregate's name in the audit trail.

    `columns` are read, and `load` makes an aggregate of them. `dump` gives the values of the aggregate's own columns;
    a change writes those in `changing`, an amendment those in `amending`, and none with a default in the database is
    inserted. `owner` is the column
    with the customer who may see the row. Wherever an owner can be given as `visible_to`, None sees every row.

    The table also has the head of the aggregate's audit chain (`audit_position`, `audit_hash`), and a `sequence` where
    the aggregate counts its events itself: what must be current under the row's lock is in the row.
    """

    # The aggregate's id in every statement about one aggregate.
    the_id: ClassVar[sa.BindParameter[UUID]] = sa.bindparam("id", type_=sa.Uuid)

    table: sa.Table
    entity: str
    columns: Sequence[sa.ColumnElement[Any]]
    load: Callable[[Record], T]
    dump: Callable[[T], dict[str, Any]]
    changing: Collection[str]
    amending: Collection[str] = ()
    counts: StatusCounts[Any] | None = None
    owner: sa.Column[UUID] | None = None

    def __post_init__(self) -> None:
        self._find = prepare(sa.select(*self.columns).where(self.the_visible_row))
        self._exists = prepare(sa.select(sa.exists().where(self.the_visible_row)))

    @property
    def the_row(self) -> sa.ColumnElement[bool]:
        return self.table.c.id == self.the_id

    @property
    def the_visible_row(self) -> sa.ColumnElement[bool]:
        """The row, if `visible_to` is null or its owner. A row of somebody else is handled as one that does not exist:
        by the same statement, without a lock, and so in the same time."""
        if self.owner is None:
            return self.the_row
        return self.the_row & sa.or_(_visible_to.is_(None), self.owner == _visible_to)

    def key(self, aggregate_id: UUID, visible_to: UUID | None) -> dict[str, UUID | None]:
        """The parameters of `the_visible_row`."""
        if self.owner is None and visible_to is None:
            return {"id": aggregate_id}
        return {"id": aggregate_id, "visible_to": visible_to}

    def missing(self, aggregate_id: UUID) -> LookupError:
        return LookupError(f"no {self.entity.lower()} {aggregate_id}")

    async def find(self, connection: Connection, aggregate_id: UUID, visible_to: UUID | None = None) -> T | None:
        row = await self._find.fetch_one(connection, **self.key(aggregate_id, visible_to))
        return None if row is None else self.load(row)

    async def get(self, connection: Connection, aggregate_id: UUID) -> T:
        """As `find`. Raises `LookupError` when there is no such aggregate."""
        value = await self.find(connection, aggregate_id)
        if value is None:
            raise self.missing(aggregate_id)
        return value

    async def is_visible(self, connection: Connection, aggregate_id: UUID, visible_to: UUID | None = None) -> bool:
        """Whether `find` finds it."""
        visible: bool = await self._exists.fetch_value(connection, **self.key(aggregate_id, visible_to))
        return visible
