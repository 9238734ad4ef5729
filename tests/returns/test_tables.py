"""The migrations of returns create the tables that the code describes."""

from returns.tables import metadata
from support.postgres.databases import MakeDatabase
from support.postgres.migrated_tables import schema_differences


async def test_the_migrations_create_exactly_the_tables_that_the_code_describes(make_database: MakeDatabase) -> None:
    assert await schema_differences(make_database("returns"), metadata) == []
