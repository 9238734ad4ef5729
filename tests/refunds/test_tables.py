"""The migrations of refunds create the tables that the code describes."""

from refunds.tables import metadata
from support.postgres.databases import Database
from support.postgres.migrated_tables import schema_differences


async def test_the_migrations_create_exactly_the_tables_that_the_code_describes(database: Database) -> None:
    assert await schema_differences(database, metadata) == []
