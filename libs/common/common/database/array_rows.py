"""Rows that a statement is given as arrays, one array for each column."""

from typing import Any

from sqlalchemy import TableValuedAlias, bindparam, column, func
from sqlalchemy.dialects.postgresql import ARRAY


def array_rows(name: str, **columns: Any) -> TableValuedAlias:
    """A table of the columns and types; the values of a column `topic` are the array parameter `topics`."""
    arrays = (bindparam(f"{each}s", type_=ARRAY(type_)) for each, type_ in columns.items())
    table = func.unnest(*arrays).table_valued(*(column(each, type_) for each, type_ in columns.items()))
    return table.render_derived(name)
