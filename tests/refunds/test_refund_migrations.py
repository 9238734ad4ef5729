"""The refunds database as `migrate` leaves it."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from common.database.tables import infrastructure
from refunds.tables import metadata
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from support.postgres.databases import Database


def _differences(connection: Connection) -> list[object]:
    def is_ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or (name not in infrastructure.tables and name != "alembic_version_common")

    return list(compare_metadata(MigrationContext.configure(connection, opts={"include_name": is_ours}), metadata))


async def test_the_migrations_make_exactly_the_tables_that_the_code_describes(database: Database) -> None:
    engine = create_async_engine(make_url(database.owner_dsn).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        await engine.dispose()
