"""Fresh databases in milliseconds: each is cloned from a template that was migrated once per test session."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from common.tables import infrastructure
from local_stack.postgres import Postgres
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

INFRASTRUCTURE = "infrastructure"  # a made-up service that has the common tables and nothing else


@dataclass(frozen=True)
class Database:
    """`dsn` is the application's login, which may do what the migrations granted; `owner_dsn` may do anything."""

    name: str
    dsn: str
    owner_dsn: str


MakeDatabase: TypeAlias = Callable[[str | None], Database]


class Databases:
    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._templates: set[str] = set()
        self._numbers = itertools.count(1)

    def create(self, service: str | None = None) -> Database:
        """A new database as `python -m <service> migrate` leaves it; without a service, the common tables only."""
        login = service or INFRASTRUCTURE
        template = f"{login}_template"
        if template not in self._templates:
            self._create_template(template, login)
        name = f"{login}_{next(self._numbers)}"
        self._postgres.execute(
            f"CREATE DATABASE {name} TEMPLATE {template} OWNER {login}_owner;",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;",
            f"GRANT CONNECT ON DATABASE {name} TO {login};",
        )
        return self._database(name, login)

    def drop(self, database: Database) -> None:
        self._postgres.drop_database(database.name)

    def _create_template(self, template: str, login: str) -> None:
        self._postgres.create_database(template, service=login)
        tables = infrastructure.sorted_tables
        indexes = [index for table in tables for index in table.indexes]
        elements: list[DDLElement] = [*map(CreateTable, tables), *map(CreateIndex, indexes)]
        self._postgres.execute(
            f"SET ROLE {login}_owner;",
            *(f"{element.compile(dialect=postgresql.dialect())};" for element in elements),  # type: ignore[no-untyped-call]
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {login};",
            database=template,
        )
        self._templates.add(template)

    def _database(self, name: str, login: str) -> Database:
        return Database(name, self._postgres.dsn(name, login), self._postgres.dsn(name, f"{login}_owner"))
