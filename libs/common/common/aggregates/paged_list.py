"""One page of a list and how long the whole list is: by one snapshot, in one round trip."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    Subquery,
    Table,
    bindparam,
    func,
    or_,
    select,
    true,
)

from common.aggregates.counts import StatusCounts
from common.database.statements import Connection, Record, Statement, prepare


class PagedList:
    """The rows of a table with `created_at` and `id`, newest first, that meet some of `conditions`.

    `rows` selects what a page shows of them; it is made for the rows of the page only, however many are skipped. A
    condition is given by its name, with a value for the parameter of that name. Each set of conditions has a statement
    of its own, compiled when it is first asked for.

    Where rows differ much in size, `size` gives the size of one, and a page ends before the sizes of its rows add up
    to more than `page_size`; it has one row at least (ADR 0021).
    """

    def __init__(
        self,
        table: Table,
        rows: Select[Any],
        conditions: Mapping[str, ColumnElement[bool]],
        counts: StatusCounts,
        *,
        size: ColumnElement[int] | None = None,
        page_size: int = 0,
    ) -> None:
        self._table = table
        self._rows = rows
        self._conditions = conditions
        self._counts = counts
        self._size = size
        self._page_size = page_size
        self._statements: dict[frozenset[str], Statement] = {}

    async def fetch(
        self, connection: Connection, given: Mapping[str, Any], *, limit: int, offset: int
    ) -> tuple[Sequence[Record], int]:
        """The page's rows, and the number of all that meet the conditions."""
        names = frozenset(given)
        if names not in self._statements:
            self._statements[names] = prepare(self._statement(names))
        rows = await self._statements[names].fetch_all(connection, **given, limit=limit, offset=offset)
        return [row for row in rows if row["id"] is not None], rows[0]["total"]

    def _statement(self, given: frozenset[str]) -> Select[Any]:
        conditions = [condition for name, condition in self._conditions.items() if name in given]
        ids = self._ids(conditions)
        page = self._rows.join(ids, ids.c.id == self._table.c.id).subquery("page")
        total = select(self._total(given, conditions).label("total")).subquery("counted")
        return (
            select(total.c.total, page)
            .select_from(total.outerjoin(page, true()))
            .order_by(page.c.created_at.desc(), page.c.id.desc())
        )

    def _ids(self, conditions: Sequence[ColumnElement[bool]]) -> Subquery:
        """Of the page's rows: what is skipped is gone over in an index, and nothing else of it is read."""
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

    def _total(self, given: frozenset[str], conditions: Sequence[ColumnElement[bool]]) -> ScalarSelect[Any]:
        """From the kept counts where they know it; else by index, of as many rows as the conditions let through."""
        if given <= {"status"}:
            return self._counts.total(of_one_status=bool(given))
        return select(func.count()).select_from(self._table).where(*conditions).scalar_subquery()
