"""Bring a service's database and topics up to date: `python -m <service> migrate`, before any role starts."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, func, pool, select
from sqlalchemy.ext.asyncio import create_async_engine

from common.database import tables
from common.database.address import parse_address
from common.database.connecting import CONNECT_SECONDS, connect
from common.database.grants import grant
from common.database.schema_version import RevisionStream, revision_streams
from common.messaging.kafka.topics import create_topics
from common.service import Service
from common.settings import ServiceSettings

# Two deployments at once must not migrate at once; the number means nothing else.
_MIGRATION_LOCK = 7_203_341


async def migrate(service: Service[Any], settings: ServiceSettings) -> None:
    """Apply missing revisions, set the application's rights and create missing topics. Repeating it is harmless."""
    login = parse_address(settings.database_url).login
    await migrate_database(revision_streams(service.name), service.metadata, settings.owner_database_url, login)
    await create_topics(
        settings.kafka_bootstrap,
        service.topics,
        partitions=settings.topic_partitions,
        retention_days=settings.topic_retention_days,
        replication=settings.topic_replication,
    )


async def migrate_database(streams: Iterable[RevisionStream], metadata: MetaData, owner_dsn: str, login: str) -> None:
    """All revisions and rights in one transaction: a migration that fails leaves the database as it was."""
    owner = parse_address(owner_dsn)
    engine = create_async_engine(
        "postgresql+asyncpg://",  # the dialect only: the address is not SQLAlchemy's to read
        async_creator=partial(connect, owner_dsn, timeout=owner.connect_timeout or CONNECT_SECONDS),
        poolclass=pool.NullPool,
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            for stream in streams:
                await connection.run_sync(partial(_upgrade, stream))
            if login != owner.login:
                await connection.run_sync(partial(grant, login=login, schemas=[tables.infrastructure, metadata]))
    finally:
        await engine.dispose()


def _upgrade(stream: RevisionStream, connection: Connection) -> None:
    scripts = ScriptDirectory(str(stream.folder.parent), version_locations=[str(stream.folder)])
    environment = EnvironmentContext(
        Config(), scripts, fn=lambda revision, _context: scripts._upgrade_revs(stream.head, revision)
    )
    with environment:
        environment.configure(connection=connection, version_table=stream.version_table)
        environment.run_migrations()
