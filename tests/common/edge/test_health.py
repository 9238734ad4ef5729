"""Health and readiness of a gateway while its servers are available, stopped, hung, or not migrated."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection
from common.database.transactions import Pool
from common.edge.pages.health_pages import HealthPages
from common.edge.pages.page_application import Page
from common.health import Health, SharedProbe
from common.settings import ServiceSettings
from local_stack.kafka import Kafka
from local_stack.postgres import Postgres
from support.gateway.vase_service import VaseGateway, open_vase_gateway
from support.postgres.databases import Database, Databases
from support.processes.hanging_servers import paused
from support.processes.servers import new_kafka, new_postgres
from support.waiting import eventually, time_passes

NOWHERE = "127.0.0.1:9"


@pytest_asyncio.fixture(scope="module")
async def vase_gateway(databases: Databases, kafka_server: Kafka) -> AsyncIterator[VaseGateway]:
    database = databases.create()
    async with open_vase_gateway(database, kafka_bootstrap=f"{NOWHERE},{kafka_server.bootstrap}") as vase_gateway:
        yield vase_gateway
    databases.drop(database)


@pytest_asyncio.fixture
async def anonymous(vase_gateway: VaseGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with vase_gateway.client(None) as client:
        yield client


def health_of(database_url: str, bootstrap: str = NOWHERE) -> Health:
    return Health(None, ServiceSettings(database_url=database_url, kafka_bootstrap=bootstrap))


async def assert_unhealthy(health: Health, **states: str) -> list[str]:
    """Check that the response comes within one second, and return the errors."""
    start = time.monotonic()
    document = await health.document()
    assert time.monotonic() - start < 1.0
    assert document["status"] == "unhealthy"
    assert document["services"] == states
    errors: list[str] = document["errors"]
    return errors


async def test_a_gateway_with_its_database_and_any_broker_is_healthy(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/health")
    assert answer.status_code == 200
    document = answer.json()
    assert document.pop("timestamp").endswith("Z")
    assert document == {"status": "healthy", "services": {"database": "connected", "kafka": "connected"}}
    assert answer.headers["Cache-Control"] == "no-store"


async def test_unavailable_servers_are_named_without_further_details(database: Database) -> None:
    async with (
        open_vase_gateway(database, kafka_bootstrap=NOWHERE) as vase_gateway,
        vase_gateway.client(None) as anonymous,
    ):
        answer = await anonymous.get("/health")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["errors"] == ["kafka: not reachable"]
    health = health_of(database.dsn.replace("/infrastructure_", "/no_such_"))
    errors = await assert_unhealthy(health, database="disconnected", kafka="disconnected")
    assert errors == ["database: not reachable", "kafka: not reachable"]


async def test_kafka_is_probed_over_one_connection_as_long_as_it_works(
    database: Database, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The route needs no key, and a new connection per request would load the broker more than the probe itself."""
    connections: list[AIOKafkaConnection] = []
    create_conn = conn.create_conn

    async def create_counted(*where: Any, **options: Any) -> AIOKafkaConnection:
        connections.append(await create_conn(*where, **options))
        return connections[-1]

    monkeypatch.setattr(conn, "create_conn", create_counted)
    health = health_of(database.dsn, f"{kafka},{kafka}")
    for _ in range(5):
        assert (await health.document())["status"] == "healthy"
    assert len([each for each in connections if each.connected()]) == 1
    count = len(connections)
    for is_aborted in (True, False):
        [connection] = [each for each in connections if each.connected()]
        connection._writer.transport.abort() if is_aborted else connection.close()
        assert (await health.document())["status"] == "healthy"
    assert count <= 2 < len(connections) <= 6
    await health.close()
    assert not any(each.connected() for each in connections)


async def test_a_hung_database_is_reported_within_a_second(session_folder: Path, kafka: str) -> None:
    with new_postgres(session_folder / "hung-postgres") as postgres:
        health = health_of(postgres.dsn(), kafka)
        assert (await health.document())["status"] == "healthy"
        with paused(postgres):
            errors = await assert_unhealthy(health, database="disconnected", kafka="connected")
        assert errors == ["database: no answer within 0.8 s"]
        assert (await health.document())["status"] == "healthy"
        await health.close()


async def test_probes_use_one_connection_and_reopen_it_when_the_server_ended_it(
    database: Database, pool: Pool, kafka: str
) -> None:
    health = health_of(database.dsn, kafka)
    owner = await asyncpg.connect(database.owner_dsn)
    probes = "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'service probe' AND datname = $1"
    try:
        for _ in range(5):
            assert (await health.document())["status"] == "healthy"
            assert await health.why_not_ready() == []
        [first] = await owner.fetchval(probes, database.name)
        await pool.fetchval("SELECT pg_terminate_backend($1)", first)
        assert (await health.document())["status"] == "healthy"
        [second] = await owner.fetchval(probes, database.name)
        assert second != first
    finally:
        await owner.close()
        await health.close()


async def test_the_probes_connection_to_a_read_only_server_is_closed(
    database: Database, postgres: Postgres, kafka: str
) -> None:
    """Another server behind the same name may be the primary now."""
    health = health_of(database.dsn, kafka)
    postgres.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    assert (await health.document())["status"] == "healthy"
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        is_closed = (
            "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'service probe' AND datname = $1"
        )
        await eventually(lambda: owner.fetchval(is_closed, database.name))
    finally:
        await owner.close()
        await health.close()


async def test_a_hung_broker_is_reported_within_a_second_and_the_gateway_stays_ready(
    session_folder: Path, database: Database
) -> None:
    with new_kafka(session_folder / "hung-kafka") as kafka:
        health = health_of(database.dsn, kafka.bootstrap)
        assert (await health.document())["status"] == "healthy"
        with paused(kafka):
            errors = await assert_unhealthy(health, database="connected", kafka="disconnected")
            assert errors == ["kafka: no answer within 0.8 s"]
            assert await health.why_not_ready() == []
        assert (await health.document())["status"] == "healthy"
        await health.close()


async def test_concurrent_requests_share_the_result_of_a_running_probe() -> None:
    runs = 0

    async def probe() -> None:
        nonlocal runs
        runs += 1
        await time_passes(0.01, "the others call while the probe runs")

    shared = SharedProbe("database", probe)
    assert await asyncio.gather(*(shared() for _ in range(50))) == [None] * 50
    assert runs == 1
    assert await shared() is None
    assert runs == 2


async def test_a_gateway_with_a_migrated_database_is_ready(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("http://workshop/livez")).json() == {"status": "alive"}
    assert (await anonymous.get("http://workshop/readyz")).json() == {"status": "ready"}
    assert "http_server_request_duration_seconds_bucket" in (await anonymous.get("http://workshop/metrics")).text
    assert (await anonymous.head("http://workshop/readyz")).status_code == 200


async def test_missing_migrations_are_named_until_they_are_applied(postgres: Postgres, database: Database) -> None:
    postgres.create_database("bare", service="infrastructure")
    unmigrated = health_of(postgres.dsn("bare", "infrastructure"))
    [reason] = await unmigrated.why_not_ready()
    assert reason.startswith("migrations: missing: 0")
    assert (await unmigrated.document())["services"]["database"] == "connected"
    migrated = health_of(database.dsn)
    assert await migrated.why_not_ready() == []
    assert migrated.is_migrated
    assert await migrated.why_not_ready() == []


async def test_readiness_waits_for_components_at_the_start_or_always(database: Database) -> None:
    health = health_of(database.dsn)
    reasons: dict[str, str | None] = {"subscriber": "not connected", "relay": "not connected"}
    health.needs("subscriber", lambda: reasons["subscriber"])
    health.needs("relay", lambda: reasons["relay"], only_to_start=True)
    assert await health.why_not_ready() == ["subscriber: not connected", "relay: not connected"]
    reasons.update(subscriber=None, relay=None)
    assert await health.why_not_ready() == []
    reasons.update(subscriber="disconnected", relay="disconnected")
    assert await health.why_not_ready() == ["subscriber: disconnected"]
    health.is_stopping = True
    assert await health.why_not_ready() == ["stopping"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", 200),
        ("HEAD", "/livez", 200),
        ("GET", "/metrics", 200),
        ("GET", "/readyz", 503),
        ("POST", "/livez", 405),
        ("GET", "/api/v1/orders", 404),
    ],
)
async def test_a_role_without_a_gateway_serves_only_the_health_pages(method: str, path: str, status: int) -> None:
    pages = HealthPages(health_of("postgresql://nobody@127.0.0.1:9/nothing"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url="http://worker") as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert (answer.content == b"") == (method == "HEAD")
    if status in (404, 405):
        assert list(answer.json()) == ["error", "type", "title", "status", "detail", "instance"]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])
    assert answer.headers.get("Allow") == ("GET, HEAD" if status == 405 else None)


async def test_the_health_pages_of_a_role_continue_a_trace_and_use_the_common_error_format() -> None:
    pages = HealthPages(health_of("postgresql://nobody@127.0.0.1:9/nothing"))
    traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url="http://worker") as client:
        assert (await client.get("/livez", headers={"traceparent": traceparent})).headers["X-Request-Id"] == "ab" * 16
        wrong_method = await client.post("/livez", headers={"Accept": "application/problem+json"})
        assert wrong_method.headers["Content-Type"] == "application/problem+json"
        pages.pages["/livez"] = _fail
        response = await client.get("/livez")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in response.text


async def _fail(_scope: object) -> Page:
    raise RuntimeError("secret")
