"""Internals of Alembic: the current revision, and the steps from one to another."""

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

CHECKED_ALEMBIC = "1.20.1"


def current_revision(version_table: str, connection: Connection) -> str | None:
    """The last revision that was applied."""
    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    return context.get_current_revision()


def upgrade(folder: Path, head: str, version_table: str, connection: Connection) -> None:
    """Apply the revisions in `folder` up to `head`, in the connection's transaction if it has one.

    Alembic's own command `upgrade` needs a configuration file and an `env.py` per folder. It asks `_upgrade_revs` for
    the steps, for which there is no public function; so do we.
    """
    scripts = ScriptDirectory(str(folder.parent), version_locations=[str(folder)])
    environment = EnvironmentContext(
        Config(), scripts, fn=lambda current, _context: scripts._upgrade_revs(head, current)
    )
    with environment:
        environment.configure(connection=connection, version_table=version_table)
        environment.run_migrations()
