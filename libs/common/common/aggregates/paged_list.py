"""Paged lists of aggregates: the rows of a table that meet some conditions, newest first, and the number of all."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic

from sqlalchemy import BigInteger, ColumnElement, Integer, ScalarSelect, Select, Subquery, bindparam, func, or_, select

from common.aggregates.table import AggregateTable, T
from common.database.paging import counted_page, fetch_page
from common.database.statements import Connection, Statement, prepare
from common.paging import Page, Paging


class PagedList(Generic[T]):
    """The aggregates of a table that meet some of `conditions`, newest first.

    Columns are read for the rows of the page only, however many are skipped. A condition has the name of its parameter
    and of the filter's field with its value. Each set of conditions has a statement of its own, compiled at its first
    use.

    Where rows differ much in size, `size` gives the size of one, and a page ends before the sizes of its rows add up
    to more than `page_size`; it has one row at least (ADR 0021).
    """

    def __init__(
        self,
        rows: AggregateTable[T],
        conditions: Mapping[str, ColumnElement[bool]],
        *,
        size: ColumnElement[int] | None = None,
        page_size: int = 0,
    ) -> None:
        self._rows = rows
        self._table = rows.table
        self._conditions = conditions
        self._size = size
        self._page_size = page_size
        self._statements: dict[frozenset[str], Statement] = {}

    async def find_page(self, connection: Connection, filters: object, paging: Paging) -> Page[T]:
        """`filters` has one attribute per condition; None is no condition."""
        values = {name: value for name in self._conditions if (value := getattr(filters, name)) is not None}
        names = frozenset(values)
        if names not in self._statements:
            self._statements[names] = prepare(self._statement(names))
        return await fetch_page(connection, self._statements[names], paging, self._rows.load, **values)

    def _statement(self, names: frozenset[str]) -> Select[Any]:
        conditions = [condition for name, condition in self._conditions.items() if name in names]
        ids = self._ids(conditions)
        page = select(*self._rows.columns).join(ids, ids.c.id == self._table.c.id).subquery("page")
        return counted_page(page, self._total(names, conditions), page.c.created_at.desc(), page.c.id.desc())

    def _ids(self, conditions: Sequence[ColumnElement[bool]]) -> Subquery:
        """The ids of the page's rows. The rows that are skipped are read in an index only."""
        newest_first = (self._table.c.created_at.desc(), self._table.c.id.desc())
        ids = (
            select(self._table.c.id, self._table.c.created_at)
            .where(*conditions)
            .order_by(*newest_first)
            .limit(bindparam("limit", type_=Integer))
            .offset(bindparam("offset", type_=BigInteger))
            .subquery("ids")
        )
        if self._size is None:
            return ids
        # The table's own row again, as `size` is an expression over it.
        order = (ids.c.created_at.desc(), ids.c.id.desc())
        sized = (
            select(
                ids.c.id,
                func.sum(self._size).over(order_by=order).label("size"),
                func.row_number().over(order_by=order).label("place"),
            )
            .join(self._table, self._table.c.id == ids.c.id)
            .subquery("sized")
        )
        return select(sized.c.id).where(or_(sized.c.size <= self._page_size, sized.c.place == 1)).subquery("fitting")

    def _total(self, names: frozenset[str], conditions: Sequence[ColumnElement[bool]]) -> ScalarSelect[Any]:
        """From the stored counts where they know it; else counted by index."""
        if self._rows.counts is not None and names <= {"status"}:
            return self._rows.counts.total(of_one_status=bool(names))
        return select(func.count()).select_from(self._table).where(*conditions).scalar_subquery()
