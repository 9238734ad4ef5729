"""A transaction commits or rolls back as a whole, also when its task is cancelled at any moment."""

import asyncio

import asyncpg
import pytest
from common.database.transactions import (
    DatabaseUnavailable,
    Pool,
    is_connection_failure,
    open_pool,
    reading,
    transaction,
)
from support.postgres.databases import Database
from support.waiting import eventually, time_passes

STREAM = "INSERT INTO event_streams (topic, key, sequence) VALUES ('t', $1, 1)"


async def is_stored(pool: Pool, key: str) -> bool:
    return bool(await pool.fetchval("SELECT true FROM event_streams WHERE key = $1", key))


async def test_a_transaction_that_raises_is_rolled_back(pool: Pool) -> None:
    with pytest.raises(RuntimeError):
        async with transaction(pool) as connection:
            await connection.execute(STREAM, "half done")
            raise RuntimeError
    assert not await is_stored(pool, "half done")


async def test_a_cancelled_transaction_rolls_back_and_a_completed_one_is_durable(pool: Pool) -> None:
    """Tasks are cancelled at many different moments; the commit of each block that ended is durable."""
    block_ended: set[str] = set()

    async def write(key: str) -> None:
        async with transaction(pool) as connection:
            await connection.execute(STREAM, key)
            block_ended.add(key)

    for step in range(60):
        task = asyncio.create_task(write(str(step)))
        await time_passes(step * 0.0001, "each task is cancelled a little later than the one before")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    durable = {row["key"] for row in await pool.fetch("SELECT key FROM event_streams")}
    assert durable == block_ended


async def test_no_connection_stays_in_a_transaction_after_cancellations(pool: Pool) -> None:
    async def hang() -> None:
        async with transaction(pool) as connection:
            await connection.execute("SELECT pg_sleep(10)")

    tasks = [asyncio.create_task(hang()) for _ in range(5)]

    async def all_hang() -> bool:
        query = (
            "SELECT count(*) = 5 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        return bool(await pool.fetchval(query))

    await eventually(all_hang)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    assert await pool.fetchval(idle) == 0


async def test_a_pool_without_a_free_connection_is_unavailable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.database.transactions.ACQUIRE_SECONDS", 0.1)
    small = await open_pool(database.dsn, size=1, application_name="small")
    try:
        async with reading(small):
            with pytest.raises(DatabaseUnavailable):
                async with reading(small):
                    pytest.fail("two connections from a pool of one")
    finally:
        await small.close()


async def test_a_value_the_database_cannot_hold_is_no_connection_failure(pool: Pool) -> None:
    with pytest.raises(asyncpg.DataError) as raised:
        await pool.execute("INSERT INTO event_streams VALUES ('t', 'k', $1)", 2**70)
    assert not is_connection_failure(raised.value)
