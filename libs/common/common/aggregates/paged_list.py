"""Paged lists of aggregates: the rows of a table that meet some conditions, newest first, and their total number."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from common.aggregates.table import AggregateTable, T
from common.database.paging import PagedQuery
from common.database.statements import Connection
from common.paging import Page, Paging

Filter = TypeVar("Filter")


class PagedList(Generic[T, Filter]):
    """The aggregates of a table that meet the conditions of a filter, newest first.

    Each field of the `filters` class is a condition, unless it is None: that the column of this name has the value; for
    `created_from` and `created_to`, that `created_at` is between them, both included.

    Columns are read for the rows of the page only, however many are skipped. Each set of conditions has a statement of
    its own, compiled at its first use.

    Where rows differ much in size, `size` is the size of a row, such as the number of its parts. A page then
    ends before the sum of the sizes exceeds `page_size`, which does not count rows; it has at least one row (ADR 21).
    """

    def __init__(
        self,
        rows: AggregateTable[T],
        filters: type[Filter],
        *,
        size: sa.ColumnElement[int] | None = None,
        page_size: int = 0,
    ) -> None:
        self._rows = rows
        self._table = rows.table
        self._conditions = {name: self._condition(name) for name in filters.__annotations__}
        self._size = size
        self._page_size = page_size
        self._queries: dict[frozenset[str], PagedQuery[T]] = {}

    async def find_page(self, connection: Connection, filters: Filter, paging: Paging) -> Page[T]:
        values = {name: value for name in self._conditions if (value := getattr(filters, name)) is not None}
        names = frozenset(values)
        if names not in self._queries:
            self._queries[names] = self._query(names)
        return await self._queries[names].fetch(connection, paging, **values)

    def _condition(self, name: str) -> sa.ColumnElement[bool]:
        match name:
            case "created_from":
                return self._table.c.created_at >= sa.bindparam(name)
            case "created_to":
                return self._table.c.created_at <= sa.bindparam(name)
        return self._table.c[name] == sa.bindparam(name)

    def _query(self, names: frozenset[str]) -> PagedQuery[T]:
        conditions = [condition for name, condition in self._conditions.items() if name in names]
        ids = self._ids(conditions)
        page = sa.select(*self._rows.columns).join(ids, ids.c.id == self._table.c.id).subquery("page")
        newest_first = (page.c.created_at.desc(), page.c.id.desc())
        return PagedQuery(page, self._total(names, conditions), *newest_first, load=self._rows.load)

    def _ids(self, conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Subquery:
        """The ids of the page's rows. The rows that are skipped are read in an index only."""
        newest_first = (self._table.c.created_at.desc(), self._table.c.id.desc())
        ids = (
            sa.select(self._table.c.id, self._table.c.created_at)
            .where(*conditions)
            .order_by(*newest_first)
            .limit(sa.bindparam("limit", type_=sa.Integer))
            .offset(sa.bindparam("offset", type_=sa.BigInteger))
            .subquery("ids")
        )
        if self._size is None:
            return ids
        # The table's own row again, as `size` is an expression over it.
        order = (ids.c.created_at.desc(), ids.c.id.desc())
        with_sizes = (
            sa.select(
                ids.c.id,
                sa.func.sum(self._size).over(order_by=order).label("size"),
                sa.func.row_number().over(order_by=order).label("place"),
            )
            .join(self._table, self._table.c.id == ids.c.id)
            .subquery("with_sizes")
        )
        return (
            sa.select(with_sizes.c.id)
            .where(sa.or_(with_sizes.c.size <= self._page_size, with_sizes.c.place == 1))
            .subquery("fitting")
        )

    def _total(self, names: frozenset[str], conditions: Sequence[sa.ColumnElement[bool]]) -> sa.ScalarSelect[Any]:
        """From the stored counts where they know it; else counted by index."""
        if self._rows.counts is not None and names <= {"status"}:
            return self._rows.counts.total(of_one_status=bool(names))
        return sa.select(sa.func.count()).select_from(self._table).where(*conditions).scalar_subquery()
