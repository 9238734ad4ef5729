"""Which revisions a database should have, and which it lacks; needs no Alembic, so every role can afford to ask."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import asyncpg
from sqlalchemy import column, select, table

from common.database.statements import Connection, Statement, prepare


@dataclass(frozen=True, slots=True)
class RevisionStream:
    """A folder of Alembic revisions and the table that says which was applied last.

    A revision's id is its file's name without the ending (`0001_orders`): names in order are revisions in order.
    """

    folder: Path
    version_table: str

    @property
    def head(self) -> str:
        return max(path.stem for path in self.folder.glob("[0-9]*.py"))

    @property
    def applied(self) -> Statement:
        """Asks a database for the last revision that it has."""
        return prepare(select(column("version_num")).select_from(table(self.version_table)))


def revision_streams(service: str | None) -> tuple[RevisionStream, ...]:
    """The common tables' revisions, then the service's own."""
    common = RevisionStream(_package("common") / "database" / "migrations" / "versions", "alembic_version_common")
    if service is None:
        return (common,)
    return (common, RevisionStream(_package(service) / "migrations" / "versions", "alembic_version"))


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package {name}", name=name)
    return Path(spec.submodule_search_locations[0])


async def missing_revisions(connection: Connection, service: str | None) -> list[str]:
    """The heads that this database has not reached; empty when it is up to date (or ahead of this program)."""
    missing = []
    for stream in revision_streams(service):
        try:
            applied = await stream.applied.fetch_value(connection)
        except asyncpg.UndefinedTableError:
            applied = None
        if applied is None or applied < stream.head:
            missing.append(stream.head)
    return missing
