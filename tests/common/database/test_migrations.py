"""The database after `migrate`: the tables that the code describes, and only the privileges that are needed."""

import json
import shutil
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import asyncpg
import common.database
import pytest
from common.database.schema_version import missing_revisions, revision_streams
from common.database.tables import infrastructure
from common.database.transactions import Pool
from common.messaging.incoming.inbox import Inbox
from common.messaging.incoming.poison import PoisonRecord
from common.messaging.incoming.records import EventHandler
from common.messaging.outgoing.outbox import lane_of
from common.running.migrate import migrate_database
from common.text.causes import LONGEST_CAUSE
from sqlalchemy import MetaData, make_url
from support.kafka.poison_records import POISON_RECORDS
from support.kafka.relays import EVENT_STATES
from support.kafka.subscribers import GROUP, OrderShipped
from support.postgres.databases import Database
from support.postgres.migrated_tables import schema_differences

CHANGES_OF_AUDIT = (
    "UPDATE audit SET new_state = 'PAID'",
    "DELETE FROM audit",
    "TRUNCATE audit CASCADE",
    "UPDATE audit_details SET details = '{}'",
    "DELETE FROM audit_details",
    "TRUNCATE audit_details",
)
# The events of one key: published, rejected by Kafka, pending; the lane is that of the key.
OLD_EVENTS = """
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, key, sequence, lane, traceparent, state,
                    published_at, last_error)
SELECT gen_random_uuid(), 'order', 'order-1', 'order.paid', '', 'articurated.orders', 'order-1', sequence,
       $1, '', state, CASE state WHEN 'published' THEN now() END,
       CASE state WHEN 'parked' THEN 'too large' END
FROM (VALUES (1, 'published'), (2, 'parked'), (3, 'pending')) AS event (sequence, state)
"""
OLD_JOB = """
INSERT INTO jobs (id, kind, business_key, payload, traceparent, state, last_error, cause)
VALUES (gen_random_uuid(), 'glaze', $1, '{}', 't', $1, $2, $3)
"""
OLD_POISON = """
INSERT INTO poison (id, topic, partition, "offset", key, value, headers, record_time, error)
VALUES (gen_random_uuid(), 't', 0, $1, $2, $3, $4, 0, '')
"""


# The newest migration of libs/common; the files are numbered.
LAST_REVISION = max(
    file.stem for file in (Path(common.database.__file__).parent / "migrations" / "versions").glob("[0-9]*.py")
)


async def test_the_migrations_create_exactly_the_tables_that_the_code_describes(database: Database) -> None:
    assert await schema_differences(database, infrastructure) == []


async def test_the_missing_revisions_of_a_database_are_listed(database: Database, pool: Pool) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute("DROP TABLE alembic_version_common")
    finally:
        await owner.close()
    async with pool.acquire() as connection:
        assert await missing_revisions(connection, "orders") == [LAST_REVISION, revision_streams("orders")[1].head]


@pytest.mark.parametrize("change", CHANGES_OF_AUDIT)
async def test_the_application_can_neither_change_nor_remove_audit_rows(pool: Pool, change: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await pool.execute(change)


@pytest.mark.parametrize("change", CHANGES_OF_AUDIT)
async def test_the_owner_cannot_change_audit_rows_by_mistake(database: Database, change: str) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="is append-only"):
            await owner.execute(change)
    finally:
        await owner.close()


@asynccontextmanager
async def database_of(
    database: Database, tmp_path: Path, revisions: Sequence[str]
) -> AsyncIterator[asyncpg.Connection]:
    """Yield the owner's connection to a database with only these revisions; apply the others at the end."""
    (stream,) = revision_streams(None)
    versions = tmp_path / "versions"
    versions.mkdir()
    for name in revisions:
        shutil.copy(stream.folder / f"{name}.py", versions)
    login, owner_login = (str(make_url(dsn).username) for dsn in (database.dsn, database.owner_dsn))
    migrated = partial(migrate_database, metadata=MetaData(), owner_dsn=database.owner_dsn)
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute("DROP OWNED BY CURRENT_USER")
        # The privileges name tables that do not exist yet.
        await migrated([replace(stream, folder=versions)], login=owner_login)
        yield owner
    finally:
        await owner.close()
    await migrated([stream], login=login)


async def test_pending_events_stay_pending_after_the_migration_that_splits_the_outbox(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    async with database_of(database, tmp_path, ("0001_infrastructure", "0002_jobs_by_kind")) as owner:
        await owner.execute(OLD_EVENTS, lane_of("order-1"))

    assert [tuple(row) for row in await pool.fetch(EVENT_STATES)] == [
        ("order-1", 1, "published"),
        ("order-1", 2, "parked"),
        ("order-1", 3, "pending"),
    ]
    parked = await pool.fetch("SELECT lane, topic, key, error FROM outbox_parked")
    assert [tuple(row) for row in parked] == [(lane_of("order-1"), "articurated.orders", "order-1", "too large")]
    assert await pool.fetchval("SELECT lane FROM outbox_pending") == lane_of("order-1")


async def test_causes_that_no_request_can_name_are_computed_again(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    (stream,) = revision_streams(None)
    before = [file.stem for file in stream.folder.glob("[0-9]*.py") if file.stem < "0020"]
    cut = "k" * (LONGEST_CAUSE - 1)
    async with database_of(database, tmp_path, before) as owner:
        for state, error, cause in (
            ("dead", f"{cut} and cold", f"{cut} "),
            ("discarded", "\x1bcold", "\x1bcold"),
            ("ready", "kiln 7", "kiln <number>"),
            ("running", None, ""),
        ):
            await owner.execute(OLD_JOB, state, error, cause)
    causes = await pool.fetch("SELECT state, cause FROM jobs")
    assert {row["state"]: row["cause"] for row in causes} == {
        "dead": cut,
        "discarded": "cold",
        "ready": "kiln <number>",
        "running": "",
    }


async def test_poison_records_from_before_digests_are_recognised_when_they_are_repeated(
    database: Database, pool: Pool, tmp_path: Path
) -> None:
    before = ("0001_infrastructure", "0002_jobs_by_kind", "0003_outbox_pending")
    async with database_of(database, tmp_path, before) as owner:
        for offset, record in enumerate(POISON_RECORDS.values()):
            headers = [
                (name.encode("unicode_escape").decode(), None if value is None else b64encode(value).decode())
                for name, value in record.headers
            ]
            await owner.execute(OLD_POISON, offset, record.key, record.value, json.dumps(headers))

    inbox = Inbox(pool, GROUP, {"order.shipped": EventHandler(OrderShipped, refuse)})
    for offset, record in enumerate(POISON_RECORDS.values()):
        for at in (offset, offset + 1_000):
            await inbox.process([PoisonRecord("t", 0, at, record.key, record.value, record.headers, 0, "kept")])
    assert await pool.fetchval('SELECT count(*) FROM poison WHERE "offset" < 1000') == len(POISON_RECORDS)
    assert await pool.fetchval('SELECT count(*) FROM poison WHERE "offset" >= 1000') == len(POISON_RECORDS)


async def test_poison_records_from_before_causes_are_classified(database: Database, pool: Pool, tmp_path: Path) -> None:
    (stream,) = revision_streams(None)
    before = [name for name in stream.later_than(None) if name < "0020"]
    async with database_of(database, tmp_path, before) as owner:
        await owner.execute(
            'INSERT INTO poison (id, topic, partition, "offset", digest, headers, record_time, error)'
            " SELECT gen_random_uuid(), 't', 0, number, '', '[]', 0, 'ValueError: no order ' || number"
            " FROM generate_series(1, 1100) AS number"
        )
    causes = await pool.fetch("SELECT cause, count(*) FROM poison GROUP BY cause")
    assert [tuple(row) for row in causes] == [("ValueError: no order <number>", 1100)]


async def refuse(*_: object) -> None:
    raise RuntimeError("not today")
