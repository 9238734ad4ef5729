"""Fresh databases in milliseconds: each is cloned from a template that was migrated once per test session."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import TypeAlias

from common.database.schema_version import revision_streams
from common.database.transactions import Pool
from common.running.migrate import migrate_database
from local_stack.postgres import Postgres
from sqlalchemy import MetaData

INFRASTRUCTURE = "infrastructure"  # an example service with only the common tables


@dataclass(frozen=True)
class Database:
    """`dsn` has the application's login with the privileges from the migrations, `owner_dsn` the owner's login."""

    name: str
    dsn: str
    owner_dsn: str


MakeDatabase: TypeAlias = Callable[[str | None], Database]
MakePool: TypeAlias = Callable[[Database], Awaitable[Pool]]


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
        database = self._database(template, login)
        metadata = MetaData() if login == INFRASTRUCTURE else import_module(f"{login}.tables").metadata
        streams = revision_streams(None if login == INFRASTRUCTURE else login)
        # A fixture may be used inside a running event loop, where no second one can be started.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, migrate_database(streams, metadata, database.owner_dsn, login)).result()
        self._templates.add(template)

    def _database(self, name: str, login: str) -> Database:
        return Database(name, self._postgres.dsn(name, login), self._postgres.dsn(name, f"{login}_owner"))
