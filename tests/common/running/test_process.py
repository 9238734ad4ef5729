"""Roles as processes of the orders service on real servers: start and stop."""

import json
import signal
import socket
import time
from pathlib import Path

import pytest
from local_stack.kafka import Kafka
from local_stack.postgres import Postgres
from support.processes.hanging_servers import paused
from support.processes.servers import new_kafka, new_postgres
from support.processes.service import running_service
from support.waiting import poll

ROLES = ["api", "consumer", "relay", "reconciler", "all"]


@pytest.fixture(scope="module")
def migrated_environment(session_folder: Path, postgres: Postgres, kafka_server: Kafka) -> dict[str, str]:
    """The environment of an orders service whose database was migrated by its own command."""
    postgres.create_database("processes", service="orders")
    environment = {
        "DATABASE_URL": postgres.dsn("processes", "orders"),
        "MIGRATION_DATABASE_URL": postgres.dsn("processes", "orders_owner"),
        "KAFKA_BOOTSTRAP": kafka_server.bootstrap,
        "SHUTDOWN_SECONDS": "5",
    }
    for _ in range(2):
        with running_service("orders", "migrate", folder=session_folder, environment=environment) as migration:
            assert migration.wait() == 0, migration.log
    return environment


@pytest.mark.parametrize("role", ROLES)
def test_a_role_becomes_ready_and_exits_with_0_on_sigterm(
    migrated_environment: dict[str, str], tmp_path: Path, role: str
) -> None:
    with running_service("orders", role, folder=tmp_path, environment=migrated_environment) as process:
        process.wait_for("/readyz", 200)
        response = process.get("/api/v1/orders")
        assert response is not None
        assert response.json()["error"]["code"] == ("UNAUTHENTICATED" if role in ("api", "all") else "NOT_FOUND")
        assert process.wait_for("/livez", 200).json() == {"status": "alive"}
        assert "event_loop_lag_seconds" in process.wait_for("/metrics", 200).text
        start = time.monotonic()
        assert process.stop() == 0, process.log
        assert time.monotonic() - start < 4
        assert '"level":"critical"' not in process.log
        assert "Traceback" not in process.log


def test_without_a_collector_the_sdk_of_opentelemetry_is_not_imported(
    migrated_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = {**migrated_environment, "PYTHONPROFILEIMPORTTIME": "1"}
    with running_service("orders", "all", folder=tmp_path, environment=environment) as process:
        process.wait_for("/readyz", 200)
        assert process.stop() == 0, process.log
        assert "common.telemetry.tracing" in process.log
        assert "opentelemetry.sdk" not in process.log


def test_with_a_collector_that_is_away_a_process_works_and_ends_in_time(
    migrated_environment: dict[str, str], tmp_path: Path
) -> None:
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with running_service("orders", "api", folder=tmp_path, environment=migrated_environment | collector) as process:
        process.wait_for("/readyz", 200)
        for _ in range(20):
            response = process.get("/api/v1/orders")
            assert response is not None
            assert response.status_code == 401
        start = time.monotonic()
        assert process.stop() == 0, process.log
        assert time.monotonic() - start < 5
        assert "opentelemetry" in process.log
        assert "Traceback" not in process.log


@pytest.mark.parametrize("role", ROLES)
def test_every_role_limits_the_size_and_duration_of_requests(
    migrated_environment: dict[str, str], tmp_path: Path, role: str
) -> None:
    environment = {**migrated_environment, "HTTP_HEAD_SECONDS": "0.5", "HTTP_MAX_CONNECTIONS": "20"}
    with running_service("orders", role, folder=tmp_path, environment=environment) as process:
        process.wait_for("/livez", 200)
        address = next(json.loads(line)["address"] for line in process.log.splitlines() if "listening" in line)
        port = int(address.rpartition(":")[2])
        waiting = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(50)]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as large:
            large.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 500_000)
            assert b'"limit_bytes":65536' in large.makefile("rb").read()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
            slow.sendall(b"GET /livez HTTP/1.1\r\n")
            assert b'"limit_seconds":0.5' in slow.makefile("rb").read()
        process.wait_for("/livez", 200)
        assert process.stop() == 0, process.log
        for each in waiting:
            each.close()


def test_a_role_waits_for_its_database_and_its_migrations(
    migrated_environment: dict[str, str], tmp_path: Path, postgres: Postgres
) -> None:
    postgres.create_database("late", service="orders")
    environment = {
        **migrated_environment,
        "DATABASE_URL": postgres.dsn("late", "orders"),
        "MIGRATION_DATABASE_URL": postgres.dsn("late", "orders_owner"),
    }
    with running_service("orders", "api", folder=tmp_path, environment=environment) as process:
        assert "migrations: missing" in process.wait_for("/readyz", 503).text
        assert process.wait_for("/api/v1/orders", 503).json()["error"]["code"] == "UNAVAILABLE"
        with running_service("orders", "migrate", folder=tmp_path, environment=environment) as migration:
            assert migration.wait() == 0, migration.log
        process.wait_for("/readyz", 200)
        process.wait_for("/api/v1/orders", 401)


def test_sigterm_stops_a_role_that_still_waits_for_its_database(tmp_path: Path) -> None:
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "KAFKA_BOOTSTRAP": "127.0.0.1:9"}
    with running_service("orders", "all", folder=tmp_path, environment=nowhere) as process:
        process.wait_for("/readyz", 503)
        assert process.stop(within=4) == 0


@pytest.mark.parametrize("service", ["orders", "returns", "invoicing", "refunds"])
def test_sigterm_stops_every_role_in_time_while_both_servers_hang(
    session_folder: Path, tmp_path: Path, service: str
) -> None:
    """All but orders also have a worker."""
    with (
        new_postgres(session_folder / f"hung-{service}") as postgres,
        new_kafka(session_folder / f"hung-{service}-kafka") as kafka,
    ):
        postgres.create_database(service)
        environment = {
            "DATABASE_URL": postgres.dsn(service, service),
            "MIGRATION_DATABASE_URL": postgres.dsn(service, f"{service}_owner"),
            "KAFKA_BOOTSTRAP": kafka.bootstrap,
            "SHUTDOWN_SECONDS": "3",
            "DOCUMENT_FOLDER": str(tmp_path / "documents"),
            "PAYMENT_GATEWAY_KEY": "unused",
        }
        with running_service(service, "migrate", folder=tmp_path, environment=environment) as migration:
            assert migration.wait() == 0, migration.log
        with running_service(service, "all", folder=tmp_path, environment=environment) as process:
            process.wait_for("/readyz", 200)
            with paused(postgres), paused(kafka):
                process.wait_for("/readyz", 503)  # the next queries wait for a response
                start = time.monotonic()
                assert process.stop() == 0, process.log
                assert time.monotonic() - start < 4


def test_a_second_signal_ends_the_process_immediately(migrated_environment: dict[str, str], tmp_path: Path) -> None:
    with running_service(
        "orders", "all", folder=tmp_path, environment={**migrated_environment, "SHUTDOWN_SECONDS": "60"}
    ) as process:
        process.wait_for("/livez", 200)
        process.send(signal.SIGINT)
        poll(lambda: '"event":"stopping"' in process.log)
        process.send(signal.SIGINT)
        assert process.wait(within=2) in (0, 1)


def test_a_component_that_fails_ends_the_process_with_1(
    migrated_environment: dict[str, str], tmp_path: Path, postgres: Postgres
) -> None:
    environment = {**migrated_environment, "FAILPOINT": "relay.after_read:raise"}
    with running_service("orders", "relay", folder=tmp_path, environment=environment) as process:
        process.wait_for("/readyz", 200)
        postgres.execute(
            "WITH event AS (INSERT INTO outbox "
            "(id, aggregatetype, aggregateid, type, payload, topic, key, sequence, traceparent) VALUES "
            "(gen_random_uuid(), 'order', '1', 'order.created', '{}', 'articurated.orders', '1', 1, '') "
            "RETURNING position) INSERT INTO outbox_pending SELECT position, 1 FROM event;",
            database="processes",
        )
        assert process.wait() == 1
        assert '"level":"critical"' in process.log
        assert "FailpointReached" in process.log


def test_a_port_in_use_is_reported(migrated_environment: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        environment = {**migrated_environment, "HTTP_PORT": str(other_server.getsockname()[1])}
        with running_service("orders", "relay", folder=tmp_path, environment=environment) as process:
            assert process.wait() == 1
            assert "address already in use" in process.log.lower()


def test_a_setting_that_is_missing_or_wrong_is_named_without_its_value(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": "postgresql://secret", "HTTP_PORT": "999999"}
    with running_service("orders", "api", folder=tmp_path, environment=environment) as process:
        assert process.wait() == 1
        assert "KAFKA_BOOTSTRAP: Field required" in process.log
        assert "HTTP_PORT: Input should be less than or equal to 65535" in process.log
        assert "secret" not in process.log
