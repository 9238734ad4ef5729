"""The metadata of the common tables, and what every table of a service is defined with."""

from typing import Any

import sqlalchemy as sa

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# `info` of a table whose rows are never changed or deleted: the application's login has only SELECT and INSERT on it
# (grants.py), and its migration adds triggers against UPDATE, DELETE and TRUNCATE.
APPEND_ONLY = {"append_only": True}

infrastructure = sa.MetaData(naming_convention=NAMING_CONVENTION)


def instant(name: str, **options: Any) -> sa.Column[Any]:
    """A point in time, stored in UTC."""
    return sa.Column(name, sa.DateTime(timezone=True), **options)
