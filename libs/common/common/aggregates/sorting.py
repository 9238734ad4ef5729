"""The sort of a list of aggregates: its order, and the position of a row in it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.errors import Problem
from common.paging import Position

NEWEST = "-created_at"
# More digits than any amount has.
_MOST_DIGITS = 30


@dataclass(frozen=True, slots=True)
class Sort:
    """By one column, and by id where its values are equal: both ascending or both descending."""

    column: str
    is_descending: bool

    @classmethod
    def parse(cls, text: str) -> "Sort":
        """`created_at`, or `-created_at` for the largest value first."""
        return cls(text.removeprefix("-"), text.startswith("-"))

    def order(self, rows: sa.FromClause) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
        value, row_id = rows.c[self.column], rows.c.id
        return (value.desc(), row_id.desc()) if self.is_descending else (value.asc(), row_id.asc())

    def is_after(self, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        """That a row comes after the position, whose parameters are `after_value` and `after_id`."""
        value, row_id = rows.c[self.column], rows.c.id
        row = sa.tuple_(value, row_id)
        # Without the column's precision: PostgreSQL would round the value, or find it too large.
        value_type = sa.Numeric() if isinstance(value.type, sa.Numeric) else value.type
        position = sa.tuple_(sa.bindparam("after_value", type_=value_type), sa.bindparam("after_id", type_=row_id.type))
        return row < position if self.is_descending else row > position

    def position(self, aggregate: Any) -> Position:
        value = getattr(aggregate, self.column)
        return (value.isoformat() if isinstance(value, datetime) else str(value), str(aggregate.id))

    def parameters(self, position: Position, table: sa.Table) -> dict[str, object]:
        """The values of the parameters of `is_after`. Raises `Problem` for a position that is not one of this sort."""
        value, row_id = position
        try:
            return {"after_value": _parse(value, table.c[self.column].type), "after_id": UUID(row_id)}
        except (ValueError, InvalidOperation, OverflowError):
            raise Problem.invalid("cursor", "is not a cursor of this list") from None


OLDEST_FIRST = Sort("created_at", is_descending=False)
# Before any row.
BEGINNING = ("0001-01-01T00:00:00+00:00", str(UUID(int=0)))


def _parse(text: str, column_type: sa.types.TypeEngine[Any]) -> datetime | Decimal:
    if isinstance(column_type, sa.DateTime):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(text)
        return moment.astimezone(UTC)
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueError(text)
    return number
