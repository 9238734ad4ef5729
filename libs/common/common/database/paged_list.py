"""One page of a list and how long the whole list is: by one snapshot, in one round trip."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, ScalarSelect, Select, Table, bindparam, func, select, true

from common.database.counts import StatusCounts
from common.database.statements import Connection, Record, Statement, prepare


class PagedList:
    """The rows of a table with `created_at` and `id`, newest first, that meet some of `conditions`.

    `rows` selects what a page shows of them. A condition is given by its name, with a value for the parameter of that
    name. Each set of conditions has a statement of its own, compiled when it is first asked for.
    """

    def __init__(
        self, table: Table, rows: Select[Any], conditions: Mapping[str, ColumnElement[bool]], counts: StatusCounts
    ) -> None:
        self._table = table
        self._rows = rows
        self._conditions = conditions
        self._counts = counts
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
        page = (
            self._rows.where(*conditions)
            .order_by(self._table.c.created_at.desc(), self._table.c.id.desc())
            .limit(bindparam("limit", type_=Integer))
            .offset(bindparam("offset", type_=BigInteger))
            .subquery("page")
        )
        total = select(self._total(given, conditions).label("total")).subquery("counted")
        return (
            select(total.c.total, page)
            .select_from(total.outerjoin(page, true()))
            .order_by(page.c.created_at.desc(), page.c.id.desc())
        )

    def _total(self, given: frozenset[str], conditions: Sequence[ColumnElement[bool]]) -> ScalarSelect[Any]:
        """From the kept counts where they know it; else by index, of as many rows as the conditions let through."""
        if given <= {"status"}:
            return self._counts.total(of_one_status=bool(given))
        return select(func.count()).select_from(self._table).where(*conditions).scalar_subquery()
