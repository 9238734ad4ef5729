"""Health of every role: what its page `/readyz` answers."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

PROBE_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class RoleHealth:
    name: str
    is_ready: bool
    reasons: tuple[str, ...] = ()


async def health_of_roles(http: httpx.AsyncClient, roles: Iterable[tuple[str, str]]) -> list[RoleHealth]:
    return list(await asyncio.gather(*(_health(http, name, url) for name, url in roles)))


async def _health(http: httpx.AsyncClient, name: str, url: str) -> RoleHealth:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            response = await http.get(f"{url}/readyz")
    except TimeoutError:
        return RoleHealth(name, False, (f"no answer within {PROBE_SECONDS:g} s",))
    except httpx.TransportError:
        return RoleHealth(name, False, ("cannot be reached",))
    if response.status_code == 200:
        return RoleHealth(name, True)
    try:
        reasons = tuple(map(str, response.json()["errors"]))
    except (ValueError, KeyError, TypeError):
        reasons = ()
    return RoleHealth(name, False, reasons or (f"answers {response.status_code}",))
