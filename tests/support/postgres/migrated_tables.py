"""Comparison of the tables that the migrations create with those that the code describes."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from common.database.tables import infrastructure
from sqlalchemy import Connection, MetaData, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from support.postgres.databases import Database

COMMON_VERSIONS = "alembic_version_common"


async def schema_differences(database: Database, metadata: MetaData) -> list[object]:
    """What Alembic would change in the database; empty when both agree.

    `metadata` is a service's own tables, or the common ones.
    """
    is_common = metadata is infrastructure
    others = set() if is_common else {*infrastructure.tables, COMMON_VERSIONS}
    options = {
        "version_table": COMMON_VERSIONS if is_common else "alembic_version",
        "include_name": lambda name, kind, _: kind != "table" or name not in others,
    }

    def compare(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    engine = create_async_engine(make_url(database.owner_dsn).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()
