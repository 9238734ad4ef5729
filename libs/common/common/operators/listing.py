"""Lists of operators' queries: filters, pages and totals of rows that are JSON objects."""

from typing import Any

import sqlalchemy as sa

from common.database.paging import PagedQuery
from common.database.statements import Record

Row = dict[str, Any]


def columns_of(table: sa.Table, result: type[Any]) -> list[sa.Column[Any]]:
    """The columns that a result has as its fields, in this order."""
    return [table.c[name] for name in result.__annotations__ if name in table.c]


def where_equal(query: sa.Select[Any], **columns: sa.Column[Any]) -> sa.Select[Any]:
    """Each column equals the parameter of that name; a null parameter is no condition."""
    for name, column in columns.items():
        parameter: sa.ColumnElement[Any] = sa.bindparam(name, type_=column.type)
        query = query.where(sa.or_(parameter.is_(None), column == parameter))
    return query


def _without_counts(row: Record) -> Row:
    return {name: value for name, value in row.items() if name not in ("total", "place")}


def paged_list(
    rows: sa.Select[Any], keys: sa.Select[Any], *order: sa.ColumnElement[Any], counted: sa.FromClause | None = None
) -> PagedQuery[Row]:
    """A page and, by the same snapshot, the number of all rows: that of `counted`, where it is cheaper to count.

    `keys` selects the key of every row of the list, `rows` the columns of a page: they are read for the rows of the
    page only. An empty page is a row without a place.
    """
    (key,) = keys.selected_columns
    page_of_keys = (
        keys.with_only_columns(key.label("key"), sa.func.row_number().over(order_by=order).label("place"))
        .order_by(*order)
        .limit(sa.bindparam("limit", type_=sa.Integer))
        .offset(sa.bindparam("offset", type_=sa.Integer))
        .subquery("keys")
    )
    # One look per row of the page: for a join, a cached plan that does not know the limit would read the whole table.
    row = rows.where(key == page_of_keys.c.key).limit(sa.literal_column("1")).lateral("row")
    page = sa.select(*row.c, page_of_keys.c.place).select_from(page_of_keys.join(row, sa.true())).subquery("page")
    total = sa.select(sa.func.count()).select_from(keys.subquery() if counted is None else counted)
    return PagedQuery(page, total.scalar_subquery(), page.c.place, load=_without_counts, key="place")
