"""Gateways of one service as processes on one database, as behind a load balancer."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
from common.access import api_keys
from common.access.auth import Role
from support.postgres.databases import Database
from support.processes.service import ServiceProcess, running_service

KEY = "the-key-of-a-test.the-secret-of-a-test"


async def add_key(database: Database, role: Role = Role.OPS) -> None:
    connection = await asyncpg.connect(database.dsn)
    await api_keys.add(connection, key=KEY, name="test", role=role)
    await connection.close()


@contextmanager
def running_gateways(
    service: str, database: Database, folder: Path, *environments: Mapping[str, str]
) -> Iterator[list[tuple[ServiceProcess, str]]]:
    """Ready processes of the role `api` and their addresses, one for each environment. Without Kafka and rate limit."""
    with ExitStack() as stack:
        gateways = []
        for number, environment in enumerate(environments):
            own_folder = folder / str(number)
            own_folder.mkdir()
            wiring = {"DATABASE_URL": database.dsn, "KAFKA_BOOTSTRAP": "127.0.0.1:9", "RATE_LIMIT_PER_MINUTE": "0"}
            process = running_service(service, "api", folder=own_folder, environment={**wiring, **environment})
            gateways.append(stack.enter_context(process))
        for gateway in gateways:
            gateway.wait_for("/readyz", 200, within=90)  # several start at once, beside other tests
        yield [(gateway, address_of(gateway)) for gateway in gateways]


def address_of(process: ServiceProcess) -> str:
    address: str = next(
        json.loads(line)["address"] for line in process.log.splitlines() if '"event":"listening"' in line
    )
    return address
