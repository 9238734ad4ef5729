"""The parts of a list's statement: the ids of a page, its rows, and the total (ADR 27)."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from common.aggregates.sorting import Sort
from common.aggregates.table import AggregateTable


class ListStatement:
    """The rows of a table that meet the conditions, and have one of the statuses if there are any.

    With `walks`, the page is read from an index that is in the order of the sort: the conditions must be met by a
    large part of its entries, or be its first column. Without it, all rows that meet the conditions are found first,
    which is for those that few rows meet; total and page are then made from their ids. The choice is not left to the
    planner: it does not know the values, and would walk through the whole index for the only match.

    With `continues`, the page follows the position that is given by parameters, else it has an offset. Without
    `counts`, the total is 0.
    """

    def __init__(
        self,
        rows: AggregateTable[Any],
        conditions: Sequence[sa.ColumnElement[bool]],
        statuses: tuple[str, ...],
        sort: Sort,
        *,
        walks: bool,
        continues: bool,
        counts: bool = True,
    ) -> None:
        self._rows = rows
        self._table = rows.table
        self._conditions = conditions
        self._statuses = statuses
        self._sort = sort
        self._continues = continues
        self._counts = counts
        self._limit: sa.ColumnElement[int] = sa.bindparam("limit", type_=sa.Integer)
        self._found = None if walks else sa.select(*self._keys()).where(*self._all_conditions()).cte("found_rows")

    def page(self, size: sa.ColumnElement[int] | None, page_size: int) -> sa.Subquery:
        ids = self._ids()
        if self._continues or size is not None:
            ids = self._cut(ids, size, page_size)
        found = [ids.c.found] if self._continues else []
        return sa.select(*self._rows.columns, *found).join(ids, ids.c.id == self._table.c.id).subquery("page")

    def total(self) -> sa.ScalarSelect[Any]:
        """From the stored counts where they know it; else counted."""
        if not self._counts:
            return sa.select(sa.literal_column("0", sa.BigInteger)).scalar_subquery()
        if self._found is not None:
            return sa.select(sa.func.count()).select_from(self._found).scalar_subquery()
        if self._rows.counts is not None and not self._conditions:
            return self._rows.counts.total(self._statuses)
        counted = sa.select(sa.func.count()).select_from(self._table).where(*self._all_conditions())
        return counted.scalar_subquery()

    def _keys(self) -> tuple[sa.Column[Any], sa.Column[Any]]:
        return self._table.c.id, self._table.c[self._sort.column]

    def _all_conditions(self) -> list[sa.ColumnElement[bool]]:
        return [*self._conditions, *([self._has_status(self._statuses)] if self._statuses else [])]

    def _has_status(self, statuses: tuple[str, ...]) -> sa.ColumnElement[bool]:
        """With the values in the text: the planner knows how many rows have each."""
        literals = [sa.literal(str(each), literal_execute=True) for each in statuses]
        return self._table.c.status == literals[0] if len(literals) == 1 else self._table.c.status.in_(literals)

    def _ids(self) -> sa.Subquery:
        """The ids of the page's rows; with `continues`, of one row more. The rows that are skipped are read in an index
        only."""
        if self._found is not None:
            keys = self._sorted(sa.select(self._found.c.id, self._found.c[self._sort.column]), self._found)
        elif len(self._statuses) > 1 and self._sort.column == "created_at":
            keys = self._merged()
        else:
            keys = self._sorted(sa.select(*self._keys()).where(*self._all_conditions()), self._table)
        limit = self._limit + 1 if self._continues else self._limit
        keys = keys.limit(limit)
        if not self._continues:
            keys = keys.offset(sa.bindparam("offset", type_=sa.BigInteger))
        return keys.subquery("ids")

    def _sorted(self, keys: sa.Select[Any], rows: sa.FromClause) -> sa.Select[Any]:
        return (keys.where(self._sort.is_after(rows)) if self._continues else keys).order_by(*self._sort.order(rows))

    def _merged(self) -> sa.Select[Any]:
        """Each status has its own part of the index, in the order of the sort: no other row is read."""
        last = self._limit + (1 if self._continues else sa.bindparam("offset", type_=sa.BigInteger))
        parts = [
            sa.select(
                self._sorted(
                    sa.select(*self._keys()).where(*self._conditions, self._has_status((status,))), self._table
                )
                .limit(last)
                .subquery(f"status_{number}")
            )
            for number, status in enumerate(self._statuses)
        ]
        merged = sa.union_all(*parts).subquery("merged")
        return sa.select(merged).order_by(*self._sort.order(merged))

    def _cut(self, ids: sa.Subquery, size: sa.ColumnElement[int] | None, page_size: int) -> sa.Subquery:
        """The first rows of `ids`: at most `limit`, and only so many that the sum of their sizes is at most
        `page_size`. The first row is always one of them, whatever its size. `found` is the number of `ids`."""
        order = self._sort.order(ids)
        columns = [ids.c.id, sa.func.row_number().over(order_by=order).label("place")]
        if self._continues:
            columns.append(sa.func.count().over().label("found"))
        query = sa.select(*columns)
        if size is not None:  # an expression over the table's own row
            query = query.add_columns(sa.func.sum(size).over(order_by=order).label("size"))
            query = query.join(self._table, self._table.c.id == ids.c.id)
        places = query.subquery("places")
        fits: list[sa.ColumnElement[bool]] = []
        if size is not None:
            fits.append(sa.or_(places.c.size <= page_size, places.c.place == 1))
        if self._continues:
            fits.append(places.c.place <= self._limit)
        found = [places.c.found] if self._continues else []
        return sa.select(places.c.id, *found).where(*fits).subquery("fitting")
