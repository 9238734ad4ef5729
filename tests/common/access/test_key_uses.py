"""The last use of an API key: written seldom, by whichever process comes first."""

import asyncio
from datetime import datetime

import asyncpg
import pytest
from common.access import api_keys
from common.access.key_uses import KeyUses
from common.database.transactions import Pool, reading, transaction


async def make_key(pool: Pool, name: str = "shop") -> str:
    async with reading(pool) as connection:
        key = await api_keys.create(connection, name=name, role="client")
    return key.partition(".")[0]


async def write(pool: Pool, uses: KeyUses) -> None:
    async with reading(pool) as connection:
        await uses.write(connection)


async def last_use(pool: Pool, prefix: str) -> datetime | None:
    moment: datetime | None = await pool.fetchval("SELECT last_used_at FROM api_keys WHERE prefix = $1", prefix)
    return moment


async def test_a_used_key_has_the_time_of_its_last_use_and_an_unused_one_has_none(pool: Pool) -> None:
    used, unused, uses = await make_key(pool), await make_key(pool), KeyUses()
    uses.add(used)
    await write(pool, uses)
    assert await last_use(pool, used) is not None
    assert await last_use(pool, unused) is None


async def test_a_key_in_constant_use_is_written_once_a_minute_by_all_processes_together(pool: Pool) -> None:
    prefix, processes = await make_key(pool), [KeyUses() for _ in range(5)]
    for uses in processes:
        uses.add(prefix)
    await asyncio.gather(*(write(pool, uses) for uses in processes))
    first = await last_use(pool, prefix)
    assert first is not None
    for uses in processes:
        uses.add(prefix)
        await write(pool, uses)
    assert await last_use(pool, prefix) == first
    await pool.execute("UPDATE api_keys SET last_used_at = now() - interval '1 minute'")
    processes[0].add(prefix)
    await write(pool, processes[0])
    again = await last_use(pool, prefix)
    assert again is not None
    assert again > first


async def test_a_key_that_another_transaction_changes_is_not_waited_for(pool: Pool) -> None:
    prefix, uses = await make_key(pool), KeyUses()
    uses.add(prefix)
    async with transaction(pool) as connection:
        await connection.execute("SELECT 1 FROM api_keys FOR UPDATE")
        async with asyncio.timeout(5):
            await write(pool, uses)
    assert await last_use(pool, prefix) is None


async def test_uses_that_could_not_be_written_are_part_of_the_next_write(pool: Pool) -> None:
    prefix, uses = await make_key(pool), KeyUses()
    uses.add(prefix)
    async with reading(pool) as connection:
        await connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await uses.write(connection)
        await connection.execute("RESET ALL")
    await write(pool, uses)
    assert await last_use(pool, prefix) is not None
