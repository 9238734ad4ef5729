"""An aggregate store writes a change with its audit row, counts and event, and creates many aggregates at a time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from common.aggregates.changes import New, Write
from common.aggregates.counts import StatusCounts
from common.aggregates.store import AggregateStore
from common.aggregates.table import AggregateTable
from common.audit.actor import Actor
from common.database.statements import Record
from common.database.tables import NAMING_CONVENTION
from common.database.transactions import Pool, reading, transaction
from common.messaging.outgoing.outbox import NewEvent
from sqlalchemy import Column, DateTime, Integer, LargeBinary, MetaData, Table, Text, Uuid, bindparam, insert
from support.events.traceparent import TRACEPARENT
from support.postgres.audit_trail import first_broken, history
from support.postgres.databases import Database

POTTER = Actor(UUID(int=7), "potter", "USER", "API_CALL", TRACEPARENT)
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


class VaseStatus(StrEnum):
    WET = "WET"
    FIRED = "FIRED"


@dataclass(frozen=True, slots=True)
class Vase:
    id: UUID
    name: str
    created_at: datetime = NOON
    status: VaseStatus = VaseStatus.WET


def to_vase(row: Record) -> Vase:
    return Vase(row["id"], row["name"], row["created_at"], VaseStatus(row["status"]))


def vase_values(vase: Vase) -> dict[str, Any]:
    return {"id": vase.id, "name": vase.name, "created_at": vase.created_at, "status": vase.status}


metadata = MetaData(naming_convention=NAMING_CONVENTION)
vases = Table(
    "vases",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("status", Text, nullable=False),
    Column("audit_position", Integer, nullable=False),
    Column("audit_hash", LargeBinary, nullable=False),
)
glazes = Table("glazes", metadata, Column("vase_id", Uuid), Column("colour", Text))
vase_counts = StatusCounts("vase", VaseStatus, metadata)
VASES = AggregateTable(
    vases,
    "VASE",
    columns=tuple(vases.c),
    load=to_vase,
    dump=vase_values,
    changing=("status",),
    counts=vase_counts,
)
STORE = AggregateStore(VASES)
GLAZE = insert(glazes).values(vase_id=VASES.the_id, colour=bindparam("colour"))
TABLES = """
    CREATE TABLE vases (id uuid PRIMARY KEY, name text UNIQUE NOT NULL, created_at timestamptz NOT NULL,
                        status text NOT NULL, audit_position int NOT NULL, audit_hash bytea NOT NULL);
    CREATE TABLE glazes (vase_id uuid REFERENCES vases, colour text);
    CREATE TABLE vase_count_changes (position bigint GENERATED ALWAYS AS IDENTITY, status text, change int2);
    CREATE TABLE vase_counts (status text PRIMARY KEY, count bigint NOT NULL);
    GRANT ALL ON vases, glazes, vase_count_changes, vase_counts TO PUBLIC;
"""


@pytest_asyncio.fixture(autouse=True)
async def _tables(database: Database) -> AsyncIterator[None]:
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(TABLES)
    await owner.close()
    yield


def glaze(colour: str) -> Write:
    return Write(GLAZE, {"colour": colour})


def event(vase: Vase) -> NewEvent:
    return NewEvent.by(
        POTTER, type="vase.fired", topic="vases", aggregate_type="vase", aggregate_id=vase.id, key=vase.id, data=b"{}"
    )


async def make(pool: Pool, *names: str) -> list[Vase]:
    new = [New(Vase(uuid4(), name), POTTER, {"name": name}, (glaze("blue"),)) for name in names]
    async with transaction(pool) as connection:
        await STORE.add_many(connection, new)
    return [each.value for each in new]


async def fire(pool: Pool, vase: Vase) -> None:
    async with transaction(pool) as connection:
        locked = await STORE.lock_existing(connection, vase.id)
        fired_vase = replace(locked.value, status=VaseStatus.FIRED)
        await STORE.save(connection, locked, fired_vase, POTTER, {}, event(fired_vase))


async def test_many_aggregates_are_created_with_their_audit_rows_counts_and_other_writes(pool: Pool) -> None:
    new_vases = await make(pool, "urn", "amphora")
    async with reading(pool) as connection:
        assert await VASES.get(connection, new_vases[0].id) == new_vases[0]
        assert await vase_counts.by_status(connection) == {VaseStatus.WET: 2, VaseStatus.FIRED: 0}
        for vase in new_vases:
            [row] = await history(connection, "VASE", vase.id)
            assert (row["previous_state"], row["new_state"], row["actor_id"]) == (None, "WET", str(POTTER.id))
    assert await pool.fetchval("SELECT count(*) FROM glazes") == 2


async def test_a_change_continues_the_chain_and_its_event_gets_the_next_sequence(pool: Pool) -> None:
    [vase] = await make(pool, "urn")
    await fire(pool, vase)
    await fire(pool, vase)
    async with reading(pool) as connection:
        rows = await history(connection, "VASE", vase.id)
        assert await vase_counts.by_status(connection) == {VaseStatus.WET: 0, VaseStatus.FIRED: 1}
    assert first_broken(rows) is None
    assert [row["previous_state"] for row in rows] == [None, "WET", "FIRED"]
    assert [row["sequence"] for row in await pool.fetch("SELECT sequence FROM outbox ORDER BY position")] == [1, 2]


async def test_an_existing_aggregate_is_not_created_again_and_has_no_second_audit_row(pool: Pool) -> None:
    await make(pool, "urn")
    new = [New(Vase(uuid4(), name), POTTER, {}) for name in ("amphora", "urn")]
    async with transaction(pool) as connection:
        assert await STORE.add_missing(connection, new) == {new[0].value.id}
    assert await pool.fetchval("SELECT count(*) FROM audit WHERE entity_type = 'VASE'") == 2
    assert await pool.fetchval("SELECT count(*) FROM vases") == 2


async def test_of_two_batches_with_the_same_aggregates_each_is_created_once(pool: Pool) -> None:
    names = [f"vase {number}" for number in range(20)]

    async def add() -> int:
        async with transaction(pool) as connection:
            new = [New(Vase(uuid4(), name), POTTER, {}) for name in names]
            return len(await STORE.add_missing(connection, new))

    assert sum(await asyncio.gather(*(add() for _ in range(4)))) == len(names)


async def test_two_writes_with_the_same_parameter_name_are_an_error(pool: Pool) -> None:
    [vase] = await make(pool, "urn")
    async with transaction(pool) as connection:
        locked = await STORE.lock_existing(connection, vase.id)
        with pytest.raises(TypeError, match="colour"):
            await STORE.save(connection, locked, vase, POTTER, {}, None, glaze("blue"), glaze("red"))


async def test_a_missing_aggregate_cannot_be_locked_or_read(pool: Pool) -> None:
    async with transaction(pool) as connection:
        with pytest.raises(LookupError, match="no vase"):
            await STORE.lock_existing(connection, uuid4())
        with pytest.raises(LookupError, match="no vase"):
            await VASES.get(connection, uuid4())
