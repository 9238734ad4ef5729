"""HTTP client of the other services' timelines, as the caller of our own route (ADR 42)."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import httpx
import msgspec
import structlog
from common.component import Component

from orders.explanation.evidence import TYPES, PeerTimeline, Silence

_log = structlog.get_logger(__name__)
# An idle connection is closed before a server would close it.
_LIMITS = httpx.Limits(max_connections=60, max_keepalive_connections=30, keepalive_expiry=4.0)
_REFUSALS = {401: "it does not know the key", 403: "the key may not do this", 429: "too many requests of this key"}


class TimelineClient:
    """`addresses` are those of the services by their names; after `seconds` a service counts as not answering.
    `transports` are used in place of connections, by the beginnings of addresses."""

    def __init__(
        self, addresses: Mapping[str, str], seconds: float, *, transports: Mapping[str, httpx.AsyncBaseTransport] = {}
    ) -> None:
        self.services = tuple(addresses)
        self._addresses = addresses
        self._seconds = seconds
        self._transports = transports
        self._client: httpx.AsyncClient | None = None

    async def fetch(self, key: UUID, headers: Mapping[str, str]) -> dict[str, PeerTimeline | Silence]:
        """Ask all services at once. `headers` have the caller's credential; none of our own is used."""
        answers = await asyncio.gather(*(self._ask(name, key, headers) for name in self.services))
        return dict(zip(self.services, answers, strict=True))

    @property
    def component(self) -> Component:
        """Closes the connections when the process stops."""
        return Component("timeline client", self._close_at_end)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _close_at_end(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        await self.close()

    async def _ask(self, service: str, key: UUID, headers: Mapping[str, str]) -> PeerTimeline | Silence:
        try:
            async with asyncio.timeout(self._seconds):
                response = await self._get(f"{self._addresses[service]}/api/v1/ops/timelines/{key}", headers)
        except (TimeoutError, httpx.TimeoutException):
            return Silence("slow", f"no answer within {self._seconds:g} s")
        except (httpx.HTTPError, OSError) as error:
            return Silence("unreachable", type(error).__name__)
        if response.status_code in _REFUSALS:
            return Silence("refused", _REFUSALS[response.status_code])
        if response.status_code != 200:
            return Silence("unavailable", f"it answered {response.status_code}")
        try:
            return msgspec.json.decode(response.content, type=TYPES[service])
        except msgspec.DecodeError as error:
            _log.error("the timeline of another service cannot be read", service=service, error=str(error))
            return Silence("unavailable", "its answer cannot be read: it may be of another version")

    async def _get(self, url: str, headers: Mapping[str, str]) -> httpx.Response:
        """The client is made here: it belongs to the running event loop."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                limits=_LIMITS, timeout=self._seconds, trust_env=False, mounts=self._transports
            )
        return await self._client.get(url, headers=dict(headers))
