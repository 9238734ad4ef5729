"""Queries of pages: the rows and the number of all, by one snapshot and in one round trip."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from common.database.statements import Connection, Record, prepare
from common.paging import Page, Paging

Row = TypeVar("Row")


class PagedQuery(Generic[Row]):
    """The rows of `page` in this `order`, and the `total`.

    `page` has the parameters `limit` and `offset`; `key` is a column that is never null in a row of it. If it continues
    after a position, it has its own parameters for that instead of `offset`, and a column `found`: the number of rows
    that were found for the page, more than its rows if there are more after it.
    """

    def __init__(
        self,
        page: sa.Subquery,
        total: sa.ColumnElement[int],
        *order: sa.ColumnElement[Any],
        load: Callable[[Record], Row],
        key: str = "id",
    ) -> None:
        total_row = sa.select(total.label("total")).subquery("total_row")
        # An empty page is one row of nulls with the total.
        rows = sa.select(total_row.c.total, page).select_from(total_row.outerjoin(page, sa.true())).order_by(*order)
        self._statement = prepare(rows)
        self._load = load
        self._key = key
        self._continues = "found" in page.c

    async def fetch(self, connection: Connection, paging: Paging, **parameters: object) -> Page[Row]:
        offset = {} if self._continues else {"offset": paging.offset}
        records = await self._statement.fetch_all(connection, **parameters, limit=paging.limit, **offset)
        rows = [self._load(record) for record in records if record[self._key] is not None]
        more = (records[0]["found"] or 0) > len(rows) if self._continues else None
        return Page(rows, records[0]["total"], has_more=more)
