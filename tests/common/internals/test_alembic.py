"""The undocumented parts of Alembic still behave as `common.internals.alembic` expects."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest_asyncio
from common.internals.alembic import upgrade
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from support.postgres.databases import Database

REVISION = """
from alembic import op

revision, down_revision = {revision!r}, {down!r}


def upgrade() -> None:
    op.execute("CREATE TABLE {revision} ()")
"""
TABLES = text("SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'step_%' ORDER BY table_name")
VERSION = text("SELECT version_num FROM sample_version")


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(database.owner_dsn.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()
    await engine.dispose()


async def test_an_upgrade_applies_the_revisions_from_the_current_one_to_the_head(
    connection: AsyncConnection, tmp_path: Path
) -> None:
    folder = tmp_path / "versions"
    folder.mkdir()
    for revision, down in (("step_1", None), ("step_2", "step_1"), ("step_3", "step_2")):
        (folder / f"{revision}.py").write_text(REVISION.format(revision=revision, down=down))
    for head, tables in (("step_2", ["step_1", "step_2"]), ("step_3", ["step_1", "step_2", "step_3"])):
        await connection.run_sync(partial(upgrade, folder, head, "sample_version"))
        assert list(await connection.scalars(TABLES)) == tables
        assert await connection.scalar(VERSION) == head
