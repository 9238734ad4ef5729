"""Paged lists of aggregates: the rows of a table that meet some conditions, sorted, and their total number."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Generic, TypeVar

import sqlalchemy as sa

from common.aggregates.among import Among
from common.aggregates.list_statement import ListStatement
from common.aggregates.sorting import BEGINNING, NEWEST, OLDEST_FIRST, Sort
from common.aggregates.table import AggregateTable, T
from common.database.filter_conditions import condition_on
from common.database.paging import PagedQuery
from common.database.statements import Connection
from common.paging import Page, Paging

Filter = TypeVar("Filter")
# Each needs a few milliseconds to compile and some kilobytes; a client could ask for thousands of combinations.
_KEPT_STATEMENTS = 256


class PagedList(Generic[T, Filter]):
    """The aggregates of a table that meet the conditions of a filter, in the order of a sort.

    Each field of the `filters` class is a condition, unless it is None: one of `conditions`, which has the field's name
    as its parameter, else that the column of this name has the value. For `created_from` and `created_to` it is that
    `created_at` is between them, both included; `status` may be one value or a tuple of them.

    `walks` says for each column to sort by which conditions the list may be read with in the order of an index (see
    `ListStatement`).

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
        conditions: Mapping[str, sa.ColumnElement[bool] | Among] | None = None,
        walks: Mapping[str, Collection[str]] | None = None,
        size: sa.ColumnElement[int] | None = None,
        page_size: int = 0,
    ) -> None:
        self._rows = rows
        self._names = tuple(filters.__annotations__)
        own = conditions or {}
        self._conditions = {
            name: own[name] if name in own else condition_on(rows.table, name)
            for name in self._names
            if name != "status"
        }
        self._walks = walks or {"created_at": self._names}
        self._size = size
        self._page_size = page_size
        self._query = lru_cache(_KEPT_STATEMENTS)(self._new_query)

    async def find_page(
        self, connection: Connection, filters: Filter, paging: Paging, sort_text: str = NEWEST
    ) -> Page[T]:
        """Raises `Problem` for a position that is not one of this sort."""
        return await self._fetch(connection, filters, paging, Sort.parse(sort_text))

    async def find_uncounted(self, connection: Connection, filters: Filter, paging: Paging) -> Page[T]:
        """A page of an export: oldest first, after a position or from the beginning, with 0 as its total.

        All pages together read the list once, whatever the conditions. Raises what `find_page` raises.
        """
        paging = replace(paging, after=paging.after or BEGINNING)
        return await self._fetch(connection, filters, paging, OLDEST_FIRST, counts=False)

    async def _fetch(
        self, connection: Connection, filters: Filter, paging: Paging, sort: Sort, *, counts: bool = True
    ) -> Page[T]:
        values = {name: value for name in self._names if (value := getattr(filters, name)) is not None}
        status = values.pop("status", ())
        statuses = tuple(sorted(status)) if isinstance(status, tuple) else (status,)
        names, continues = frozenset(values), paging.after is not None
        if paging.after is not None:
            values |= sort.parameters(paging.after, self._rows.table)
        page = await self._query(names, statuses, sort, continues, counts).fetch(connection, paging, **values)
        end = sort.position(page.rows[-1]) if page.rows else None
        return Page(page.rows, page.total, end, page.has_more)

    def _new_query(
        self, names: frozenset[str], statuses: tuple[str, ...], sort: Sort, continues: bool, counts: bool
    ) -> PagedQuery[T]:
        used = {*names, *(("status",) if statuses else ())}
        walks = not counts or used.issubset(self._walks.get(sort.column, ()))
        conditions = [condition for name, condition in self._conditions.items() if name in names]
        row_id = self._rows.table.c.id
        statement = ListStatement(
            self._rows,
            [each.condition(row_id, walks=walks) if isinstance(each, Among) else each for each in conditions],
            statuses,
            sort,
            walks=walks,
            continues=continues,
            counts=counts,
        )
        page = statement.page(self._size, self._page_size)
        return PagedQuery(page, statement.total(), *sort.order(page), load=self._rows.load)
