"""The condition that a row is among those which a query of another table finds."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Among:
    """That the id of a row is one of `ids`, and that the row meets the condition `also`, if there is one."""

    ids: sa.Select[Any]
    also: sa.ColumnElement[bool] | None = None

    @classmethod
    def having_words(cls, table: sa.Table, parameter: str, also: sa.ColumnElement[bool] | None = None) -> "Among":
        """Those whose `terms` in the search table have all words of the parameter, each as the beginning of a term.

        The index is read by the rarest word, and its rows are compared with all words: `IS true` keeps the second
        condition out of the index, which would collect all entries of a frequent word (ADR 27). Both are subselects,
        which PostgreSQL evaluates once: a function would be called for each row that is looked up among the ids.
        """
        text, terms = sa.bindparam(parameter, type_=sa.Text), table.c.terms
        rarest_word = sa.select(sa.func.rarest_search_word(text, table.name)).scalar_subquery()
        all_words = sa.select(sa.func.search_words(text)).scalar_subquery()
        by_rarest_word = terms.op("@@")(rarest_word)
        by_all_words = terms.op("@@", return_type=sa.Boolean)(all_words)
        return cls(sa.select(table.c.id).where(by_rarest_word, by_all_words.is_(sa.true())), also)

    def condition(self, row_id: sa.Column[Any], *, walks: bool) -> sa.ColumnElement[bool]:
        """With `walks`, each row of an index is looked up among the ids. Without it, the ids are found first, as an
        array: the planner does not know how few they are, and would read the whole table for one of them."""
        found = row_id.in_(self.ids) if walks else row_id == sa.any_(self._array(row_id))
        return found if self.also is None else sa.and_(found, self.also)

    def _array(self, row_id: sa.Column[Any]) -> sa.ColumnElement[Any]:
        return sa.func.array(self.ids.scalar_subquery(), type_=sa.ARRAY(row_id.type))
