"""What benchmarks measure: the product's own processes on an embedded stack of their own, and what they compare to."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measuring
from local_stack import process
from local_stack.ports import free_ports
from local_stack.program import Program, python_module
from local_stack.services import SERVICES
from local_stack.settings import StackSettings
from local_stack.stack import Stack, StackProcess

# On, and never reached.
RATE_LIMIT = {"RATE_LIMIT_PER_MINUTE": "1000000000"}


@contextlib.contextmanager
def stack(*services: str, **settings: str) -> Iterator[Stack]:
    """PostgreSQL and Kafka run, these services are migrated and know the stack's keys; their processes do not run.

    Start what is to be measured: `with running(stack, "orders", "api") as api`. Settings are environment variables.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, contextlib.ExitStack() as servers:
        environment = {**measuring.environment(), **RATE_LIMIT, **settings}
        made = Stack(StackSettings(Path(folder), split=True, ports={}, environment=environment))
        for store in made.stores:
            store.server.prepare()
            store.server.spawn()
            servers.callback(store.server.kill)
        for store in made.stores:
            store.server.wait_until_ready()
        for service in services or SERVICES:
            _set_up(made, service)
        yield made


def _set_up(made: Stack, service: str) -> None:
    made.postgres.create_database(service)
    keys = str(made.credentials.api_key_file)
    for arguments in (("migrate",), ("api-keys", "ensure", "--from-file", keys)):
        process.run(
            python_module(service, *arguments),
            log=made.log(f"{service}-{arguments[0]}"),
            environment=made.migration_environment(service),
        )


def verify_audit(made: Stack, service: str) -> None:
    """Raises `CommandError` when a chain of audit rows is broken."""
    command = python_module(service, "verify-audit")
    process.run(command, log=made.log(f"{service}-verify-audit"), environment=made.service_environment(service))


def role_process(made: Stack, service: str, role: str) -> StackProcess:
    return next(each for each in made.role_processes if (each.service, each.role) == (service, role))


def program(made: Stack, service: str, role: str) -> Program:
    """One role of the product: `with program(…) as api` runs it as a process."""
    found = role_process(made, service, role).server
    assert isinstance(found, Program)
    return found


def another_program(made: Stack, service: str, role: str, **settings: str) -> Program:
    """As `program`, one more of them, on a port of its own and with other settings."""
    port = free_ports(1)[0]
    return Program(
        f"{service}-{role}-{port}",
        [service, role],
        port=port,
        readiness="/readyz",
        environment={**made.service_environment(service), "HTTP_PORT": str(port), **settings},
        log=made.log(f"{service}-{role}-{port}"),
    )


def another_database(made: Stack, service: str, name: str) -> str:
    """A copy of a service's database, which nobody may be connected to; its address for the service's login."""
    made.postgres.execute(
        f"CREATE DATABASE {name} TEMPLATE {service} OWNER {service}_owner;",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;",
        f"GRANT CONNECT ON DATABASE {name} TO {service};",
    )
    return made.postgres.dsn(name, service)


@contextlib.contextmanager
def running(made: Stack, service: str, role: str) -> Iterator[StackProcess]:
    """One role of the product as a process, ready."""
    with program(made, service, role):
        yield role_process(made, service, role)


def reference(made: Stack, factory: str, **settings: str) -> Program:
    """An ASGI application of ours in one uvicorn process as fast as uvicorn can be; `factory` is `module:function`.

    It finds the databases' addresses, Kafka's and the API keys (`{role: key}`) in its environment.
    """
    name, port = factory.partition(":")[0].rpartition(".")[2], free_ports(1)[0]
    wiring = {
        "DATABASE_URL": made.postgres.dsn("orders", "orders"),
        "KAFKA_BOOTSTRAP": made.kafka.bootstrap,
        "API_KEYS": json.dumps(made.credentials.api_keys),
    }
    return Program(
        name,
        [
            *("uvicorn", "--factory", factory, "--port", str(port), "--loop", "uvloop", "--http", "httptools"),
            *("--no-access-log", "--log-level", "warning", "--no-server-header", "--backlog", "2048"),
        ],
        port=port,
        readiness="/readyz",
        environment={**measuring.environment(), **wiring, **settings},
        log=made.log(name),
    )
