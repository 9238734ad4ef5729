"""Opening a connection, the same way for the roles, the probes, the migrations and the operators' commands."""

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from common.database.address import DatabaseAddress, parse_address

CONNECT_SECONDS = 5
# Then the next host may do: refused, closed or not reached, starting up, or not of the kind that is asked for.
_NEXT_HOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TargetServerAttributeNotMatched,
)


async def connect(
    url: str,
    *,
    timeout: float,  # noqa: ASYNC109  # the name by which asyncpg's pool passes it on
    server_settings: Mapping[str, str] | None = None,
    **options: Any,
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection to the first host of the address that takes one, within `timeout` seconds.

    What the address asks the server to set comes before `server_settings`. Raises what asyncpg raises.
    """
    address = parse_address(url)
    given = {**address.arguments(), **options}
    given["server_settings"] = {**(server_settings or {}), **address.server_settings}
    if len(address.hosts) < 2 or address.parameters.get("target_session_attrs") == "prefer-standby":
        return await asyncpg.connect(**_at(address.hosts), **given, timeout=timeout)
    return await _connect_to_one(address, timeout, given)


async def _connect_to_one(
    address: DatabaseAddress, seconds: float, given: Mapping[str, Any]
) -> "asyncpg.Connection[asyncpg.Record]":
    """Host by host, each with its share of the time that is left: one that hangs must not take the others' (asyncpg
    has one limit for all of them)."""
    deadline = asyncio.get_running_loop().time() + seconds
    *others, last = address.hosts
    for position, host in enumerate(others):
        left = deadline - asyncio.get_running_loop().time()
        try:
            return await asyncpg.connect(**_at([host]), **given, timeout=left / (len(address.hosts) - position))
        except _NEXT_HOST:
            continue
    left = max(deadline - asyncio.get_running_loop().time(), 0)
    return await asyncpg.connect(**_at([last]), **given, timeout=left)


def _at(hosts: Any) -> dict[str, Any]:
    if not hosts:
        return {}
    ports = [port for _, port in hosts]
    return {"host": [host for host, _ in hosts], "port": None if not any(ports) else [port or 5432 for port in ports]}
