"""Migrates a service's database and creates its topics: `python -m <service> migrate`, before any role starts."""

import asyncio
from collections.abc import Iterable
from functools import partial
from itertools import takewhile
from typing import Any

from sqlalchemy import MetaData, func, pool, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from common.database import tables
from common.database.address import parse_address
from common.database.connecting import connect
from common.database.grants import grant
from common.database.schema_version import RevisionStream, revision_streams
from common.internals.alembic import current_revision, upgrade
from common.messaging.kafka.topics import create_topics
from common.service import Service
from common.settings import ServiceSettings

# The key of an advisory lock, so that two deployments do not migrate at the same time. The number is arbitrary.
_MIGRATION_LOCK = 7_203_341
_ONLINE_LOCK = _MIGRATION_LOCK + 1
_ONLINE = "_online"
_SECONDS_BETWEEN_TRIES = 0.2


async def migrate(service: Service[Any], settings: ServiceSettings) -> None:
    """Apply missing revisions, grant the application's privileges and create missing topics. Idempotent."""
    owner_dsn = settings.migration_database_url or settings.database_url
    login = parse_address(settings.database_url).login
    await migrate_database(revision_streams(service.name), service.metadata, owner_dsn, login)
    await create_topics(
        settings.kafka_bootstrap,
        service.topics,
        partitions=settings.topic_partitions,
        retention_days=settings.topic_retention_days,
        replication=settings.topic_replication,
    )


async def migrate_database(streams: Iterable[RevisionStream], metadata: MetaData, owner_dsn: str, login: str) -> None:
    """Revisions and privileges in one transaction, so that one that fails changes nothing.

    A revision whose name ends in `_online` runs between two such transactions, and each of its statements commits: it
    fills tables in parts, and builds indexes concurrently. One that failed is applied again from its beginning.
    """
    owner = parse_address(owner_dsn)
    engine = create_async_engine(
        "postgresql+asyncpg://",  # only the dialect: SQLAlchemy parses addresses differently (ADR 23)
        async_creator=partial(connect, owner_dsn, timeout=owner.connect_timeout),
        poolclass=pool.NullPool,
    )
    streams = tuple(streams)
    try:
        while True:
            async with engine.begin() as connection:
                await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
                has_online = [await _apply(connection, stream) for stream in streams]
                if login != owner.login:
                    await connection.run_sync(partial(grant, login=login, schemas=[tables.infrastructure, metadata]))
            if not any(has_online):
                return
            for stream in streams:
                await _apply_online(engine, stream)
    finally:
        await engine.dispose()


async def _apply(connection: AsyncConnection, stream: RevisionStream) -> bool:
    """Apply the missing revisions up to the next one that is online; returns whether there is one."""
    missing = await _missing(connection, stream)
    before = list(takewhile(lambda name: not name.endswith(_ONLINE), missing))
    if before:
        await connection.run_sync(partial(upgrade, stream.folder, before[-1], stream.version_table))
    return len(before) < len(missing)


async def _apply_online(engine: AsyncEngine, stream: RevisionStream) -> None:
    """Apply the missing `…_online` revisions, each outside a transaction; stop before the next ordinary revision.

    The lock is asked for again and again: a connection that waits for it in a statement would have a snapshot, for
    whose end an index that is built concurrently has to wait.
    """
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        while not await connection.scalar(select(func.pg_try_advisory_lock(_ONLINE_LOCK))):  # noqa: ASYNC110 - not an event of this process
            await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
        for name in takewhile(lambda each: each.endswith(_ONLINE), await _missing(connection, stream)):
            await connection.run_sync(partial(upgrade, stream.folder, name, stream.version_table))


async def _missing(connection: AsyncConnection, stream: RevisionStream) -> list[str]:
    return stream.later_than(await connection.run_sync(partial(current_revision, stream.version_table)))
