"""Queries of pages: the rows and the number of all, by one snapshot and in one round trip."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, Subquery, select, true

from common.database.statements import Connection, Record, Statement
from common.paging import Page, Paging

Row = TypeVar("Row")


def counted_page(page: Subquery, total: ColumnElement[int], *order: ColumnElement[Any]) -> Select[Any]:
    """The rows of `page`, each with `total`; an empty page is one row of nulls with the total."""
    counted = select(total.label("total")).subquery("counted")
    return select(counted.c.total, page).select_from(counted.outerjoin(page, true())).order_by(*order)


async def fetch_page(
    connection: Connection,
    statement: Statement,
    paging: Paging,
    load: Callable[[Record], Row],
    *,
    key: str = "id",
    **parameters: object,
) -> Page[Row]:
    """Run a prepared `counted_page` with the parameters `limit` and `offset`. `key` is a column that is never null in a
    row of the page."""
    rows = await statement.fetch_all(connection, **parameters, limit=paging.limit, offset=paging.offset)
    return Page([load(row) for row in rows if row[key] is not None], rows[0]["total"])
