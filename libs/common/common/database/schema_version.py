"""Compares a database's schema revisions with the migration files, without importing Alembic."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import asyncpg
from sqlalchemy import column, select, table

from common.database.statements import Connection, prepare


@dataclass(frozen=True, slots=True)
class RevisionStream:
    """A folder of Alembic revisions, and the table with the last revision that was applied.

    A revision's id is its file's name without the suffix (`0001_infrastructure`), so ids sort in order of migration.
    """

    folder: Path
    version_table: str

    @property
    def head(self) -> str:
        return max(path.stem for path in self.folder.glob("[0-9]*.py"))

    def later_than(self, revision: str | None) -> list[str]:
        """The revisions that follow, in order; all of them after None."""
        return sorted(path.stem for path in self.folder.glob("[0-9]*.py") if revision is None or path.stem > revision)


def revision_streams(service: str | None) -> tuple[RevisionStream, ...]:
    """The revisions of the common tables, then those of the service."""
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
    """The newest revision of each stream that is not up to date; empty when the database is up to date or newer."""
    missing = []
    for stream in revision_streams(service):
        current_revision = prepare(select(column("version_num")).select_from(table(stream.version_table)))
        try:
            revision = await current_revision.fetch_value(connection)
        except asyncpg.UndefinedTableError:
            revision = None
        if revision is None or revision < stream.head:
            missing.append(stream.head)
    return missing
