"""Reading aggregates without a lock: one, a page of many, counts by status."""

from collections.abc import Mapping
from typing import Generic
from uuid import UUID

from sqlalchemy import ColumnElement, exists, select

from common.aggregates.paged_list import PagedList
from common.aggregates.table import AggregateTable, T
from common.database.statements import Connection, prepare


class AggregateReader(Generic[T]):
    """`visible_to` limits what is found to the aggregates of one owner; None finds every one.

    `find_page`, `size` and `page_size` are those of `PagedList`.
    """

    def __init__(
        self,
        rows: AggregateTable[T],
        conditions: Mapping[str, ColumnElement[bool]] | None = None,
        *,
        size: ColumnElement[int] | None = None,
        page_size: int = 0,
    ) -> None:
        self._rows = rows
        self.find_page = PagedList(rows, conditions or {}, size=size, page_size=page_size).find_page
        self._find = prepare(select(*rows.columns).where(rows.the_visible_row))
        self._exists = prepare(select(exists().where(rows.the_visible_row)))

    async def find(self, connection: Connection, aggregate_id: UUID, visible_to: UUID | None = None) -> T | None:
        row = await self._find.fetch_one(connection, **self._rows.key(aggregate_id, visible_to))
        return None if row is None else self._rows.load(row)

    async def get(self, connection: Connection, aggregate_id: UUID) -> T:
        """As `find`. Raises `LookupError` when there is no such aggregate."""
        value = await self.find(connection, aggregate_id)
        if value is None:
            raise LookupError(f"no {self._rows.entity.lower()} {aggregate_id}")
        return value

    async def is_visible(self, connection: Connection, aggregate_id: UUID, visible_to: UUID | None = None) -> bool:
        """Whether `find` finds it."""
        visible: bool = await self._exists.fetch_value(connection, **self._rows.key(aggregate_id, visible_to))
        return visible
