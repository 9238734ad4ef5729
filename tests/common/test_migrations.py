"""What a database looks like after `migrate`: as the code says, and with no more rights than the application needs."""

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from common.database.schema_version import missing_revisions
from common.database.tables import infrastructure
from common.database.transactions import Pool
from harness.databases import Database
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

CHANGES_OF_AUDIT = (
    "UPDATE audit SET new_state = 'PAID'",
    "DELETE FROM audit",
    "TRUNCATE audit CASCADE",
    "UPDATE audit_details SET details = '{}'",
    "DELETE FROM audit_details",
    "TRUNCATE audit_details",
)


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"version_table": "alembic_version_common"})
    return list(compare_metadata(context, infrastructure))


async def test_the_migrations_make_exactly_the_tables_that_the_code_describes(database: Database) -> None:
    engine = create_async_engine(make_url(database.owner_dsn).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        await engine.dispose()


async def test_a_database_without_revisions_says_which_it_lacks(database: Database, pool: Pool) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute("DROP TABLE alembic_version_common")
    finally:
        await owner.close()
    async with pool.acquire() as connection:
        assert await missing_revisions(connection, "orders") == ["0002_jobs_by_kind", "0001_orders"]


@pytest.mark.parametrize("change", CHANGES_OF_AUDIT)
async def test_the_application_can_neither_change_nor_remove_audit_rows(pool: Pool, change: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await pool.execute(change)


@pytest.mark.parametrize("change", CHANGES_OF_AUDIT)
async def test_nor_does_the_owner_by_mistake(database: Database, change: str) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is append-only"):
            await owner.execute(change)
    finally:
        await owner.close()
