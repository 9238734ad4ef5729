"""The condition that a row is among those which a query of another table finds."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Among:
    """That the id of a row is one of `ids`, and that the row meets the condition `also`, if there is one."""

    ids: sa.Select[Any]
    also: sa.ColumnElement[bool] | None = None

    def condition(self, row_id: sa.Column[Any], *, walks: bool) -> sa.ColumnElement[bool]:
        """With `walks`, each row of an index is looked up among the ids. Without it, the ids are found first, as an
        array: the planner does not know how few they are, and would read the whole table for one of them."""
        found = row_id.in_(self.ids) if walks else row_id == sa.any_(self._array(row_id))
        return found if self.also is None else sa.and_(found, self.also)

    def _array(self, row_id: sa.Column[Any]) -> sa.ColumnElement[Any]:
        return sa.func.array(self.ids.scalar_subquery(), type_=sa.ARRAY(row_id.type))
