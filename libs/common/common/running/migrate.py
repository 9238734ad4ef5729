"""Migrates a service's database and creates its topics: `python -m <service> migrate`, before any role starts."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from sqlalchemy import MetaData, func, pool, select
from sqlalchemy.ext.asyncio import create_async_engine

from common.database import tables
from common.database.address import parse_address
from common.database.connecting import connect
from common.database.grants import grant
from common.database.schema_version import RevisionStream, revision_streams
from common.internals.alembic import upgrade
from common.messaging.kafka.topics import create_topics
from common.service import Service
from common.settings import ServiceSettings

# The key of an advisory lock, so that two deployments do not migrate at the same time. The number is arbitrary.
_MIGRATION_LOCK = 7_203_341


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
    """All revisions and privileges in one transaction, so that a migration that fails changes nothing."""
    owner = parse_address(owner_dsn)
    engine = create_async_engine(
        "postgresql+asyncpg://",  # only the dialect: SQLAlchemy parses addresses differently (ADR 23)
        async_creator=partial(connect, owner_dsn, timeout=owner.connect_timeout),
        poolclass=pool.NullPool,
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            for stream in streams:
                await connection.run_sync(partial(upgrade, stream.folder, stream.head, stream.version_table))
            if login != owner.login:
                await connection.run_sync(partial(grant, login=login, schemas=[tables.infrastructure, metadata]))
    finally:
        await engine.dispose()
