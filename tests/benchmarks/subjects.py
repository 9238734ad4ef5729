"""The processes that benchmarks measure: those of the product, on an embedded stack, and reference applications."""

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

# The limiter is on, but its limit is never reached.
RATE_LIMIT = {"RATE_LIMIT_PER_MINUTE": "1000000000"}


@contextlib.contextmanager
def stack(*services: str, **settings: str) -> Iterator[Stack]:
    """A stack with PostgreSQL and Kafka, in which these services are migrated and have API keys, but do not run.

    Start a process with `with running(stack, "orders", "api") as api`. Settings are environment variables.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, contextlib.ExitStack() as servers:
        environment = {**measuring.environment(), **RATE_LIMIT, **settings}
        stack = Stack(StackSettings(Path(folder), split=True, ports={}, environment=environment))
        for store in stack.stores:
            store.server.prepare()
            store.server.spawn()
            servers.callback(store.server.kill)
        for store in stack.stores:
            store.server.wait_until_ready()
        for service in services or SERVICES:
            _set_up(stack, service)
        yield stack


def _set_up(stack: Stack, service: str) -> None:
    stack.postgres.create_database(service)
    keys = str(stack.credentials.api_key_file)
    for arguments in (("migrate",), ("api-keys", "ensure", "--from-file", keys)):
        process.run(
            python_module(service, *arguments),
            log=stack.log(f"{service}-{arguments[0]}"),
            environment=stack.migration_environment(service),
        )


def verify_audit(stack: Stack, service: str) -> None:
    """Raises `CommandError` if a hash chain of audit rows is broken."""
    command = python_module(service, "verify-audit")
    process.run(command, log=stack.log(f"{service}-verify-audit"), environment=stack.service_environment(service))


def role_process(stack: Stack, service: str, role: str) -> StackProcess:
    return next(each for each in stack.role_processes if (each.service, each.role) == (service, role))


def program(stack: Stack, service: str, role: str) -> Program:
    """The program of a role: `with program(…) as api` runs it as a process."""
    server = role_process(stack, service, role).server
    assert isinstance(server, Program)
    return server


def another_program(stack: Stack, service: str, role: str, **settings: str) -> Program:
    """Another process of the role, on a port of its own and with other settings."""
    port = free_ports(1)[0]
    return Program(
        f"{service}-{role}-{port}",
        [service, role],
        port=port,
        readiness="/readyz",
        environment={**stack.service_environment(service), "HTTP_PORT": str(port), **settings},
        log=stack.log(f"{service}-{role}-{port}"),
    )


def another_database(stack: Stack, service: str, name: str) -> str:
    """Copy the database of a service, which must have no connections; the address for the service's login."""
    stack.postgres.execute(
        f"CREATE DATABASE {name} TEMPLATE {service} OWNER {service}_owner;",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;",
        f"GRANT CONNECT ON DATABASE {name} TO {service};",
    )
    return stack.postgres.dsn(name, service)


@contextlib.contextmanager
def running(stack: Stack, service: str, role: str) -> Iterator[StackProcess]:
    """Run a role of the product as a process; it is ready in the block."""
    with program(stack, service, role):
        yield role_process(stack, service, role)


def reference(stack: Stack, factory: str, **settings: str) -> Program:
    """A reference: an ASGI application in one uvicorn process with the fastest options; `factory` is `module:function`.

    Its environment has the addresses of the database and Kafka, and the API keys (`{role: key}`).
    """
    name, port = factory.partition(":")[0].rpartition(".")[2], free_ports(1)[0]
    addresses = {
        "DATABASE_URL": stack.postgres.dsn("orders", "orders"),
        "KAFKA_BOOTSTRAP": stack.kafka.bootstrap,
        "API_KEYS": json.dumps(stack.credentials.api_keys),
    }
    return Program(
        name,
        [
            *("uvicorn", "--factory", factory, "--port", str(port), "--loop", "uvloop", "--http", "httptools"),
            *("--no-access-log", "--log-level", "warning", "--no-server-header", "--backlog", "2048"),
        ],
        port=port,
        readiness="/readyz",
        environment={**measuring.environment(), **addresses, **settings},
        log=stack.log(name),
    )
