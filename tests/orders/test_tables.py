"""The migrations make what the code describes."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from common.database.tables import infrastructure
from orders.tables import metadata
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from support.postgres.databases import MakeDatabase

COMMON = {*infrastructure.tables, "alembic_version_common"}


def _differences(connection: Connection) -> list[object]:
    options = {"include_name": lambda name, kind, _: kind != "table" or name not in COMMON}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_the_migrations_make_exactly_the_tables_that_the_code_describes(make_database: MakeDatabase) -> None:
    url = make_url(make_database("orders").owner_dsn).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        await engine.dispose()
