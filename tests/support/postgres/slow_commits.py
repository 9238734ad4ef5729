"""Commits of orders that take a while, and can be broken meanwhile."""

import asyncpg
from support.postgres.databases import Database
from support.waiting import eventually

_BREAK = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event = 'PgSleep'"
)


async def slow_commits(database: Database, seconds: float, *, change: str = "INSERT") -> None:
    """Each commit of a new order (or of an `UPDATE`) takes this long, by a deferred trigger."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$"
    )
    await owner.execute(
        f"CREATE CONSTRAINT TRIGGER slow AFTER {change} ON orders"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()"
    )
    await owner.close()


async def quick_commits(database: Database) -> None:
    """Undo `slow_commits`."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("DROP TRIGGER slow ON orders")
    await owner.close()


async def break_a_commit(database: Database) -> None:
    """End the connection of one that has begun, as soon as there is one."""
    connection = await asyncpg.connect(database.dsn)
    await eventually(lambda: connection.fetchval(_BREAK))
    await connection.close()
