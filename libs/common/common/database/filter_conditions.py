"""Conditions of a list's filter on the columns of its table."""

import sqlalchemy as sa


def condition_on(table: sa.Table, name: str) -> sa.ColumnElement[bool]:
    """`created_from` and `created_to` are the ends of a span, both included; any other name is that of a column that
    equals its value. The value is the parameter `name`."""
    match name:
        case "created_from":
            return table.c.created_at >= sa.bindparam(name)
        case "created_to":
            return table.c.created_at <= sa.bindparam(name)
    return table.c[name] == sa.bindparam(name)
