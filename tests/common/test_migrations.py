"""What a database looks like after `migrate`: as the code says, and with no more rights than the application needs."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import asyncpg
import common.database
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from common.database.schema_version import missing_revisions, revision_streams
from common.database.tables import infrastructure
from common.database.transactions import Pool
from common.messaging.outbox import lane_of
from common.running.migrate import migrate_database
from harness.databases import Database
from harness.relaying import STATES
from sqlalchemy import Connection, MetaData, make_url
from sqlalchemy.ext.asyncio import create_async_engine

CHANGES_OF_AUDIT = (
    "UPDATE audit SET new_state = 'PAID'",
    "DELETE FROM audit",
    "TRUNCATE audit CASCADE",
    "UPDATE audit_details SET details = '{}'",
    "DELETE FROM audit_details",
    "TRUNCATE audit_details",
)
# One key's events, the first of them sent and the second refused by Kafka; the lane is that of the key.
EVENTS_FROM_BEFORE = """
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, key, sequence, lane, traceparent, state,
                    published_at, last_error)
SELECT gen_random_uuid(), 'order', 'order-1', 'order.paid', '', 'articurated.orders', 'order-1', sequence,
       $1, '', state, CASE state WHEN 'published' THEN now() END,
       CASE state WHEN 'parked' THEN 'too large' END
FROM (VALUES (1, 'published'), (2, 'parked'), (3, 'pending')) AS event (sequence, state)
"""


# The newest migration of libs/common: the files are numbered in their order.
LAST_REVISION = max(
    file.stem for file in (Path(common.database.__file__).parent / "migrations" / "versions").glob("[0-9]*.py")
)


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"version_table": "alembic_version_common"})
    return list(compare_metadata(context, infrastructure))


async def test_the_migrations_make_exactly_the_tables_that_the_code_describes(database: Database) -> None:
    engine = create_async_engine(make_url(database.owner_dsn).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(_differences) == []
    finally:
        await engine.dispose()


async def test_a_database_without_revisions_says_which_it_lacks(database: Database, pool: Pool) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute("DROP TABLE alembic_version_common")
    finally:
        await owner.close()
    async with pool.acquire() as connection:
        assert await missing_revisions(connection, "orders") == [LAST_REVISION, "0001_orders"]


@pytest.mark.parametrize("change", CHANGES_OF_AUDIT)
async def test_the_application_can_neither_change_nor_remove_audit_rows(pool: Pool, change: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await pool.execute(change)


@pytest.mark.parametrize("change", CHANGES_OF_AUDIT)
async def test_nor_does_the_owner_by_mistake(database: Database, change: str) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is append-only"):
            await owner.execute(change)
    finally:
        await owner.close()


async def test_events_that_were_waiting_wait_on_after_the_outbox_was_parted_from_what_is_pending(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    (stream,) = revision_streams(None)
    versions = tmp_path / "versions"
    versions.mkdir()
    for name in ("0001_infrastructure.py", "0002_jobs_by_kind.py"):
        shutil.copy(stream.folder / name, versions)
    login = str(make_url(database.dsn).username)
    migrated = partial(migrate_database, metadata=MetaData(), owner_dsn=database.owner_dsn, login=login)
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute("DROP OWNED BY CURRENT_USER")
        await migrated([replace(stream, folder=versions)])
        await owner.execute(EVENTS_FROM_BEFORE, lane_of("order-1"))
    finally:
        await owner.close()

    await migrated([stream])

    assert [tuple(row) for row in await pool.fetch(STATES)] == [
        ("order-1", 1, "published"),
        ("order-1", 2, "parked"),
        ("order-1", 3, "pending"),
    ]
    parked = await pool.fetch("SELECT lane, topic, key, error FROM outbox_parked")
    assert [tuple(row) for row in parked] == [(lane_of("order-1"), "articurated.orders", "order-1", "too large")]
    assert await pool.fetchval("SELECT lane FROM outbox_pending") == lane_of("order-1")
