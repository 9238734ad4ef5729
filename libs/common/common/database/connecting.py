"""Opens a connection to PostgreSQL: roles, probes, migrations and operators' commands all do it here."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from common.database.address import DatabaseAddress, parse_address

# Errors after which the next host is tried: it refused or closed the connection, could not be reached, is starting up,
# or is not the kind of server that `target_session_attrs` asks for.
_HOST_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TargetServerAttributeNotMatched,
)


async def connect(
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109  # asyncpg's pool passes it by this name
    server_settings: Mapping[str, str] | None = None,
    **options: Any,
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection to the first host of the address that accepts one, within `timeout` seconds.

    Server settings in the address take precedence over `server_settings`. Raises what asyncpg raises.
    """
    address = parse_address(url)
    arguments = {**address.arguments(), **options}
    arguments["server_settings"] = {**(server_settings or {}), **address.server_settings}
    if len(address.hosts) < 2 or address.parameters.get("target_session_attrs") == "prefer-standby":
        return await asyncpg.connect(**_host_arguments(address.hosts), **arguments, timeout=timeout)
    return await _connect_in_turn(address, timeout, arguments)


async def _connect_in_turn(
    address: DatabaseAddress, seconds: float, arguments: Mapping[str, Any]
) -> "asyncpg.Connection[asyncpg.Record]":
    """Try one host after the other, each with an equal share of the remaining time: asyncpg has one limit for all
    hosts, which a host that hangs would use up."""
    deadline = asyncio.get_running_loop().time() + seconds
    *others, last = address.hosts
    for number, host in enumerate(others):
        share = (deadline - asyncio.get_running_loop().time()) / (len(address.hosts) - number)
        try:
            return await asyncpg.connect(**_host_arguments([host]), **arguments, timeout=share)
        except _HOST_ERRORS:
            continue
    remaining = max(deadline - asyncio.get_running_loop().time(), 0)
    return await asyncpg.connect(**_host_arguments([last]), **arguments, timeout=remaining)


def _host_arguments(hosts: Sequence[tuple[str, int | None]]) -> dict[str, Any]:
    if not hosts:
        return {}
    ports = [port for _, port in hosts]
    return {"host": [host for host, _ in hosts], "port": [port or 5432 for port in ports] if any(ports) else None}
