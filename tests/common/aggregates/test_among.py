"""The condition that a row is among those which another table's query finds."""

import sqlalchemy as sa
from common.aggregates.among import Among
from sqlalchemy.dialects import postgresql

_tables = sa.MetaData()
vases = sa.Table("vases", _tables, sa.Column("id", sa.Uuid, primary_key=True), sa.Column("glaze", sa.Text))
words = sa.Table("vase_words", _tables, sa.Column("id", sa.Uuid), sa.Column("word", sa.Text))
CELADON = Among(sa.select(words.c.id).where(words.c.word == "celadon"), also=vases.c.glaze != "none")


def _sql(*, walks: bool) -> str:
    statement = sa.select(vases.c.id).where(CELADON.condition(vases.c.id, walks=walks))
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no type here
    return " ".join(str(statement.compile(dialect=dialect)).split())


def test_the_ids_are_an_array_that_is_made_before_the_rows_are_read() -> None:
    assert "vases.id = ANY (array((SELECT vase_words.id" in _sql(walks=False)


def test_a_walk_looks_each_row_up_among_the_ids() -> None:
    assert "vases.id IN (SELECT vase_words.id" in _sql(walks=True)


def test_the_other_condition_holds_in_both() -> None:
    assert all("vases.glaze !=" in _sql(walks=walks) for walks in (True, False))
