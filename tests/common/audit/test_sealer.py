"""The sealer adds every committed audit row to the log, once, and stores checkpoints outside the database."""

import asyncio
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from common.audit import entries
from common.audit.actor import Actor
from common.audit.checkpoint import Checkpoint, SigningKey, is_signed, unsigned
from common.audit.checkpoint_store import CheckpointConflict, CheckpointFolder
from common.audit.entries import AuditEntry
from common.audit.merkle import Frontier, leaf_hash
from common.audit.sealer import Sealer
from common.audit.sealing_metrics import measure_sealing
from common.database.transactions import Pool, reading, transaction
from support.events.traceparent import TRACEPARENT
from support.metrics.moved import moves
from support.postgres.databases import Database, MakePool

KEY = SigningKey(b64encode(bytes(32)).decode())
CLERK = Actor(UUID(int=7), "clerk", "USER", "API_CALL", TRACEPARENT)
MADE = AuditEntry("VASE", UUID(int=1), None, "MADE", "ACCEPTED", CLERK, datetime(2026, 11, 29, 12, tzinfo=UTC))


def sealer_of(pool: Pool, folder: Path | None = None) -> Sealer:
    store = None if folder is None else CheckpointFolder(folder)
    return Sealer(pool, "workshop", key=KEY, store=store, seconds=0.05)


async def make_vases(pool: Pool, *ids: UUID) -> None:
    for each in ids:
        async with transaction(pool) as connection:
            await entries.append(connection, replace(MADE, entity_id=each))


async def sealed(pool: Pool) -> list[tuple[UUID, int]]:
    rows = await pool.fetch("SELECT entity_id, position FROM audit_leaves ORDER BY index")
    return [(row["entity_id"], row["position"]) for row in rows]


async def last_checkpoint(pool: Pool) -> Checkpoint:
    note = await pool.fetchval("SELECT note FROM audit_checkpoints ORDER BY size DESC LIMIT 1")
    assert is_signed(note, KEY.public)
    return Checkpoint.parse(note)


def files_below(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


async def root(pool: Pool) -> bytes:
    frontier = Frontier()
    for row in await pool.fetch("SELECT entity_type, entity_id, position, hash FROM audit_leaves ORDER BY index"):
        list(frontier.append(leaf_hash(*row)))
    return frontier.root


async def test_the_head_of_every_chain_is_sealed_once_under_a_signed_checkpoint(pool: Pool) -> None:
    blue, red = uuid4(), uuid4()
    sealer = sealer_of(pool)
    await make_vases(pool, blue, red, blue)
    assert await sealer.seal_batch() == 3
    assert sorted(await sealed(pool)) == sorted([(blue, 2), (red, 1)])
    await make_vases(pool, red)
    assert await sealer.seal_batch() == 1
    assert await sealer.seal_batch() == 0
    assert (await sealed(pool))[2:] == [(red, 2)]
    checkpoint = await last_checkpoint(pool)
    assert (checkpoint.size, checkpoint.root) == (3, await root(pool))
    assert await pool.fetchval("SELECT count(*) FROM audit_checkpoints") == 2


async def test_a_row_whose_transaction_commits_late_is_sealed(pool: Pool) -> None:
    late, early = uuid4(), uuid4()
    sealer = sealer_of(pool)
    async with transaction(pool) as connection:
        await entries.append(connection, replace(MADE, entity_id=late))
        await make_vases(pool, early)
        await sealer.seal_batch()
        assert await sealed(pool) == []  # the later row waits, so that the earlier one is not stepped over
    await sealer.seal_batch()
    assert sorted(await sealed(pool)) == sorted([(late, 1), (early, 1)])


async def test_racing_sealers_and_writers_leave_no_row_unsealed_and_none_sealed_twice(
    database: Database, make_pool: MakePool
) -> None:
    pools = [await make_pool(database) for _ in range(3)]
    stopping = asyncio.Event()
    sealers = [asyncio.create_task(sealer_of(pool).run(stopping)) for pool in pools[:2]]

    async def write(number: int) -> None:
        for _ in range(40):
            async with transaction(pools[2]) as connection:
                await entries.append(connection, replace(MADE, entity_id=UUID(int=number)))
                await entries.append(connection, replace(MADE, entity_id=uuid4()))

    await asyncio.gather(*(write(number) for number in range(1, 7)))
    stopping.set()
    await asyncio.gather(*sealers)
    await sealer_of(pools[0]).seal_batch()
    leaves = await sealed(pools[0])
    assert len(leaves) == len(set(leaves))
    heads = await pools[0].fetch("SELECT entity_id, max(position) FROM audit GROUP BY 1")
    assert {tuple(row) for row in heads} <= set(leaves)
    checkpoint = await last_checkpoint(pools[0])
    assert (checkpoint.size, checkpoint.root) == (len(leaves), await root(pools[0]))


async def test_rows_of_a_database_that_was_restored_in_another_cluster_are_all_sealed(
    pool: Pool, database: Database
) -> None:
    """There, transactions have smaller numbers than the restored rows."""
    old, unsealed, new = uuid4(), uuid4(), uuid4()
    sealer = sealer_of(pool)
    await make_vases(pool, old)
    await sealer.seal_batch()
    await make_vases(pool, unsealed)
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("ALTER TABLE audit DISABLE TRIGGER USER")
    await owner.execute("UPDATE audit SET transaction_id = transaction_id + 1000000000")
    await owner.execute("UPDATE audit_log SET transaction_id = transaction_id + 1000000000")
    await owner.close()
    await sealer.seal_batch()
    assert await sealed(pool) == [(old, 1), (unsealed, 1)]
    await make_vases(pool, new, old)
    await sealer.seal_batch()
    assert sorted((await sealed(pool))[2:]) == sorted([(new, 1), (old, 2)])


async def test_the_latest_checkpoint_is_stored_outside_and_never_replaced(pool: Pool, tmp_path: Path) -> None:
    sealer = sealer_of(pool, tmp_path)
    await make_vases(pool, uuid4())
    await sealer.seal_batch()
    await sealer.store_checkpoint()
    checkpoint = await last_checkpoint(pool)
    [note] = CheckpointFolder(tmp_path).notes(checkpoint.log)
    assert Checkpoint.parse(note) == checkpoint
    assert await pool.fetchval("SELECT stored_size FROM audit_log") == 1
    with pytest.raises(CheckpointConflict):
        await CheckpointFolder(tmp_path).put(checkpoint, note.replace("=", "A"))
    assert list(CheckpointFolder(tmp_path).notes(checkpoint.log)) == [note]


async def test_another_checkpoint_of_a_stored_size_is_refused_on_any_day(tmp_path: Path) -> None:
    store, log = CheckpointFolder(tmp_path), "articurated/workshop/1"
    evening = Checkpoint(log, 42, bytes(32), datetime(2026, 11, 28, 23, 59, tzinfo=UTC))
    morning = replace(evening, root=bytes([1]) * 32, created_at=datetime(2026, 11, 29, 0, 1, tzinfo=UTC))
    await store.put(evening, KEY.sign(evening))
    await store.put(evening, KEY.sign(evening))
    with pytest.raises(CheckpointConflict):
        await store.put(morning, KEY.sign(morning))
    await store.put(replace(morning, size=43), KEY.sign(replace(morning, size=43)))
    assert [Checkpoint.parse(note).size for note in store.notes(log)] == [42, 43]


async def test_a_checkpoint_that_cannot_be_stored_is_stored_later(pool: Pool, tmp_path: Path) -> None:
    in_the_way = tmp_path / "checkpoints"
    in_the_way.write_text("a file")
    sealer = sealer_of(pool, in_the_way)
    await make_vases(pool, uuid4())
    await sealer.seal_batch()
    await sealer.store_checkpoint()
    assert await pool.fetchval("SELECT stored_size FROM audit_log") == 0
    in_the_way.unlink()
    await sealer.store_checkpoint()
    assert await pool.fetchval("SELECT stored_size FROM audit_log") == 1


@pytest.mark.parametrize("log", ["articurated/../../outside/1", "articurated/other/{id}", "{id}", "..", ""])
async def test_a_checkpoint_whose_name_is_not_that_of_a_log_of_the_service_is_not_stored(
    pool: Pool, tmp_path: Path, log: str
) -> None:
    """The name is a path of the folder, and a row of the database may have been forged."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    sealer = sealer_of(pool, folder)
    await make_vases(pool, uuid4())
    await sealer.seal_batch()
    forged = replace(await last_checkpoint(pool), log=log.format(id=uuid4()), size=2)
    insertion = "INSERT INTO audit_checkpoints (size, note, created_at) VALUES (2, $1, now())"
    await pool.execute(insertion, unsigned(forged))

    await sealer.store_checkpoint()

    assert files_below(tmp_path) == []


VERIFIED = """
INSERT INTO audit_verifications (finished_at, result)
VALUES (now() - interval '1 minute', '{"problems": 2}')
"""


@moves(
    "audit_unsealed_age_seconds",
    "audit_checkpoint_unstored_age_seconds",
    "audit_verified_age_seconds",
    "audit_problems",
)
async def test_the_gauges_show_what_is_not_sealed_not_stored_and_damaged(pool: Pool) -> None:
    await make_vases(pool, uuid4())
    await sealer_of(pool).seal_batch()
    await make_vases(pool, uuid4())
    await pool.execute(VERIFIED)
    async with reading(pool) as connection:
        await measure_sealing(connection, is_stored=True)


async def test_the_application_can_neither_change_nor_remove_what_is_sealed(pool: Pool) -> None:
    await make_vases(pool, uuid4())
    await sealer_of(pool).seal_batch()
    for change in ("DELETE FROM audit_leaves", "UPDATE audit_nodes SET level = 0", "DELETE FROM audit_checkpoints"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(change)
