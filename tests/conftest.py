"""Real PostgreSQL and real Apache Kafka for every test: one server of each per session, started at its first use.

Each test has its own databases and topics, so that tests neither wait for each other nor read each other's data.
"""

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from common.database.transactions import Pool, open_pool
from coverage import Coverage
from hypothesis import HealthCheck, settings
from local_stack.kafka import Kafka
from local_stack.postgres import Postgres
from support.kafka.topics import MakeTopic, Topics
from support.postgres.databases import Database, Databases, MakeDatabase, MakePool
from support.processes.servers import new_kafka, new_postgres

# A property is not judged by time: on a busy machine the same examples take ten times as long.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """A process of pytest-xdist is killed some seconds after its last test, too soon to write the coverage of a busy
    machine at its exit."""
    measured = Coverage.current() if "PYTEST_XDIST_WORKER" in os.environ else None
    if measured is not None:
        with warnings.catch_warnings(action="ignore"):  # of packages that its tests did not import
            measured.save()


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="articurated-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(session_folder: Path) -> Iterator[Postgres]:
    """The session's PostgreSQL. A test that stops or kills one starts its own."""
    with new_postgres(session_folder / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def kafka_server(session_folder: Path) -> Iterator[Kafka]:
    """The session's broker. A test that stops or kills one starts its own."""
    with new_kafka(session_folder / "kafka") as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Databases:
    return Databases(postgres)


@pytest.fixture
def make_database(databases: Databases) -> Iterator[MakeDatabase]:
    """`make_database("orders")`: a fresh, migrated database of that service; `None`: with the common tables only."""
    new_databases: list[Database] = []

    def make(service: str | None) -> Database:
        new_databases.append(databases.create(service))
        return new_databases[-1]

    yield make
    for database in new_databases:
        databases.drop(database)


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database(None)


@pytest_asyncio.fixture
async def make_pool(
    make_database: MakeDatabase,
) -> AsyncIterator[MakePool]:  # depends on it, so that pools are closed before databases are dropped
    """`await make_pool(database)`: connections of the application's login, closed when the test ends."""
    pools: list[Pool] = []

    async def make(database: Database) -> Pool:
        pools.append(await open_pool(database.dsn, size=10, application_name="test"))
        return pools[-1]

    yield make
    for pool in pools:
        await asyncio.wait_for(pool.close(), 20)


@pytest_asyncio.fixture
async def pool(database: Database, make_pool: MakePool) -> Pool:
    """Connections of the application's login to `database`; a service's tests override `database`."""
    return await make_pool(database)


@pytest.fixture
def kafka(kafka_server: Kafka) -> str:
    """The address of the session's broker."""
    return kafka_server.bootstrap


@pytest.fixture
def make_topic(kafka: str) -> MakeTopic:
    """`await make_topic(partitions=3)`: a new topic that no other test uses."""
    return Topics(kafka).create
