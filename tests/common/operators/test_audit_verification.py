# ruff: noqa: S608 - the SQL is made of this file's constants
"""Verification of a database's audit trail names what was changed, where, and of which kind."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from common.audit import entries
from common.audit.actor import Actor
from common.audit.chain import GENESIS, hash_of
from common.audit.checkpoint import Checkpoint, SigningKey
from common.audit.checkpoint_store import CheckpointFolder
from common.audit.entries import AuditEntry
from common.audit.sealer import Sealer
from common.database.transactions import Pool, transaction
from common.operators.audit_verification import verify_audit
from support.events.traceparent import TRACEPARENT
from support.gateway.vase_service import VaseGateway, open_vase_gateway
from support.postgres.databases import Database
from support.running import running

SECRET = b64encode(bytes(32)).decode()
CLERK = Actor(UUID(int=7), "clerk", "USER", "API_CALL", TRACEPARENT)
BLUE, RED = UUID(int=1), UUID(int=2)
MADE = AuditEntry("VASE", BLUE, None, "MADE", "ACCEPTED", CLERK, datetime(2026, 11, 29, 12, tzinfo=UTC))


@pytest_asyncio.fixture
async def vase_gateway(database: Database, tmp_path: Path) -> AsyncIterator[VaseGateway]:
    """BLUE has three rows, RED two; all but the last one of RED are sealed."""
    gateway = open_vase_gateway(database, audit_signing_key=SECRET, audit_checkpoint_folder=tmp_path)
    async with gateway as vase_gateway:
        sealer = sealer_of(vase_gateway.pool, tmp_path)
        await append(vase_gateway.pool, BLUE, BLUE, RED)
        await sealer.seal_batch()
        await sealer.store_checkpoint()
        await append(vase_gateway.pool, BLUE)
        await sealer.seal_batch()
        await sealer.store_checkpoint()
        await append(vase_gateway.pool, RED)
        yield vase_gateway


def sealer_of(pool: Pool, folder: Path) -> Sealer:
    return Sealer(pool, "workshop", key=SigningKey(SECRET), store=CheckpointFolder(folder), seconds=9)


async def append(pool: Pool, *vases: UUID) -> None:
    for vase in vases:
        async with transaction(pool) as connection:
            await entries.append(connection, replace(MADE, entity_id=vase))


async def result_of(vase_gateway: VaseGateway) -> dict[str, Any]:
    async with transaction(vase_gateway.pool) as connection:
        return dict(await verify_audit(connection, vase_gateway.runtime))


async def problems(vase_gateway: VaseGateway) -> list[tuple[str, UUID | None, int | None]]:
    found = (await result_of(vase_gateway))["found"]
    return [(each["kind"], each["entity_id"], each["position"]) for each in found]


async def tamper(database: Database, *statements: str) -> None:
    """As the owner of the tables, without the triggers."""
    owner = await asyncpg.connect(database.owner_dsn)
    async with owner.transaction():
        for table in ("audit", "audit_details", "audit_leaves", "audit_nodes", "audit_checkpoints"):
            await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            await owner.execute(statement)
    await owner.close()


def paths(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


def of_vase(table: str, vase: UUID, positions: str) -> str:
    return f"DELETE FROM {table} WHERE entity_id = '{vase}' AND position {positions}"


def without(vase: UUID, positions: str) -> list[str]:
    ids = f"SELECT id FROM audit WHERE entity_id = '{vase}' AND position {positions}"
    return [f"DELETE FROM audit_details WHERE audit_id IN ({ids})", of_vase("audit", vase, positions)]


async def test_an_intact_trail_is_counted(vase_gateway: VaseGateway) -> None:
    assert await result_of(vase_gateway) == {
        "rows": 5,
        "entities": 2,
        "leaves": 3,
        "checkpoints": 2,
        "stored_checkpoints": 2,
        "unsealed_rows": 1,
        "problems": 0,
        "broken": None,
        "found": [],
    }


async def test_an_edited_row_is_named(vase_gateway: VaseGateway, database: Database) -> None:
    await tamper(database, f"UPDATE audit SET new_state = 'SOLD' WHERE entity_id = '{BLUE}' AND position = 2")
    assert await problems(vase_gateway) == [("edited", BLUE, 2)]


async def test_a_row_that_is_missing_in_the_middle_is_named_by_the_next_one(
    vase_gateway: VaseGateway, database: Database
) -> None:
    await tamper(database, *without(BLUE, "= 2"))
    assert await problems(vase_gateway) == [("missing", BLUE, 3)]


async def test_a_cut_tail_is_named(vase_gateway: VaseGateway, database: Database) -> None:
    await tamper(database, *without(BLUE, ">= 3"))
    assert await problems(vase_gateway) == [("cut", BLUE, 3)]


async def test_a_vanished_entity_is_named(vase_gateway: VaseGateway, database: Database) -> None:
    await tamper(database, *without(RED, ">= 1"))
    assert await problems(vase_gateway) == [("vanished", RED, 1)]


async def test_a_recalculated_chain_is_named(vase_gateway: VaseGateway, database: Database) -> None:
    await recalculate(vase_gateway.pool, database)
    assert await problems(vase_gateway) == [("recalculated", BLUE, 2), ("recalculated", BLUE, 3)]


async def recalculate(pool: Pool, database: Database, *further: str) -> None:
    head, statements = GENESIS, []
    for row in await pool.fetch("SELECT * FROM audit WHERE entity_id = $1 ORDER BY position", BLUE):
        forged = {**row, "new_state": "SOLD", "previous_hash": head}
        head = hash_of(forged)
        statements.append(
            f"UPDATE audit SET new_state = 'SOLD', previous_hash = '\\x{forged['previous_hash'].hex()}',"
            f" hash = '\\x{head.hex()}' WHERE id = '{row['id']}'"
        )
    await tamper(database, *statements, *further)


async def test_a_log_that_was_rewritten_for_a_recalculated_chain_does_not_fit_its_checkpoints(
    vase_gateway: VaseGateway, database: Database
) -> None:
    is_same = "a.entity_id = l.entity_id AND a.position = l.position"
    fit = f"UPDATE audit_leaves l SET hash = a.hash FROM audit a WHERE {is_same}"
    await recalculate(vase_gateway.pool, database, fit)
    assert await problems(vase_gateway) == [("rewritten", None, None)] * 2


async def test_a_log_without_its_end_does_not_have_the_checkpoint_that_is_stored_elsewhere(
    vase_gateway: VaseGateway, database: Database
) -> None:
    cut_log = ["DELETE FROM audit_leaves WHERE index >= 2", "DELETE FROM audit_checkpoints WHERE size > 2"]
    await tamper(database, *without(BLUE, ">= 3"), *cut_log, "UPDATE audit_log SET size = 2")
    assert ("rewritten", None, None) in await problems(vase_gateway)


ANOTHER_LOG = (
    "TRUNCATE audit_leaves, audit_nodes, audit_checkpoints",
    "UPDATE audit_log SET id = gen_random_uuid(), size = 0, frontier = '', transaction_id = -1, stored_size = 0",
)


async def test_a_log_that_was_sealed_anew_under_another_id_is_named_with_the_stored_id(
    vase_gateway: VaseGateway, database: Database, tmp_path: Path
) -> None:
    """The sealer knows nothing of it, and signs and stores the forged log."""
    [kept] = paths(tmp_path, "articurated/workshop/*")
    await recalculate(vase_gateway.pool, database, *ANOTHER_LOG)
    sealer = sealer_of(vase_gateway.pool, tmp_path)
    await sealer.seal_batch()
    await sealer.store_checkpoint()
    [forged] = set(paths(tmp_path, "articurated/workshop/*")) - {kept}
    result = await result_of(vase_gateway)
    assert (result["problems"], result["found"][0]["kind"]) == (1, "rewritten")
    log, kept_log = (str(each.relative_to(tmp_path)) for each in (forged, kept))
    assert result["found"][0]["explanation"] == f"the log is {log}, and there are stored checkpoints of {kept_log}"

    # The same looks like a database that was made anew: the operator says so by archiving the old log's folder.
    kept.rename(tmp_path / "archive")
    assert await problems(vase_gateway) == []


async def test_checkpoints_of_another_service_may_be_in_the_folder(vase_gateway: VaseGateway, tmp_path: Path) -> None:
    other = Checkpoint("articurated/kiln/1", 1, bytes(32), datetime(2026, 11, 28, tzinfo=UTC))
    await CheckpointFolder(tmp_path).put(other, SigningKey(SECRET).sign(other))
    tmp_path.joinpath("articurated/workshop/without-checkpoints/2026-11-28").mkdir(parents=True)
    assert await problems(vase_gateway) == []


@pytest.mark.parametrize("day", ["2000-01-01", "2999-01-01"])
async def test_each_stored_checkpoint_of_a_size_is_compared(
    vase_gateway: VaseGateway, tmp_path: Path, day: str
) -> None:
    """On earlier and later days than the genuine one."""
    [genuine] = paths(tmp_path, "articurated/workshop/*/*/000000000002.txt")
    checkpoint = replace(Checkpoint.parse(genuine.read_text()), root=bytes(32))
    other = genuine.parents[1] / day / genuine.name
    other.parent.mkdir()
    other.write_text(SigningKey(SECRET).sign(checkpoint))
    result = await result_of(vase_gateway)
    assert (result["stored_checkpoints"], result["problems"], result["found"][0]["kind"]) == (3, 1, "rewritten")


async def test_a_checkpoint_with_the_signature_of_nobody_is_named(
    vase_gateway: VaseGateway, database: Database
) -> None:
    await tamper(
        database, "UPDATE audit_checkpoints SET note = split_part(note, E'\\n\\n', 1) || E'\\n\\n' WHERE size = 2"
    )
    assert ("signature", None, None) in await problems(vase_gateway)


async def test_a_row_that_the_sealer_has_skipped_is_named(vase_gateway: VaseGateway, database: Database) -> None:
    await tamper(database, f"UPDATE audit SET transaction_id = 1 WHERE entity_id = '{RED}' AND position = 2")
    assert await problems(vase_gateway) == [("unsealed", RED, 2)]


async def test_erased_texts_are_no_problem(vase_gateway: VaseGateway, database: Database) -> None:
    await tamper(database, "DELETE FROM audit_details")
    assert await problems(vase_gateway) == []


async def test_changes_during_a_verification_are_no_problem(vase_gateway: VaseGateway, tmp_path: Path) -> None:
    store = CheckpointFolder(tmp_path)
    sealer = Sealer(vase_gateway.pool, "workshop", key=SigningKey(SECRET), store=store, seconds=0.01)

    async def write(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await append(vase_gateway.pool, BLUE, RED)

    async with running(sealer.run), running(write):
        for _ in range(10):
            assert await problems(vase_gateway) == []
