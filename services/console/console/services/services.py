"""The four services, whose connections all persons share."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from console.person import Person
from console.services.client import ANSWER_SECONDS, ServiceClient

NAMES = ("orders", "returns", "invoicing", "refunds")
_CONNECT_SECONDS = 2.0
_MOST_CONNECTIONS = 100
# Shorter than the services hold idle connections (75 s).
_IDLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Services:
    """The services as one person calls them."""

    orders: ServiceClient
    returns: ServiceClient
    invoicing: ServiceClient
    refunds: ServiceClient

    @property
    def all(self) -> tuple[ServiceClient, ...]:
        return self.orders, self.returns, self.invoicing, self.refunds

    def named(self, name: str) -> ServiceClient | None:
        return next((each for each in self.all if each.name == name), None)


class ServiceConnections:
    """Close it at the end."""

    def __init__(self, urls: Mapping[str, str], source_address: str | None = None) -> None:
        self._urls = urls
        self.http = new_http(source_address)

    def as_person(self, person: Person) -> Services:
        return Services(*(ServiceClient(name, self._urls[name], self.http, person) for name in NAMES))

    async def close(self) -> None:
        await self.http.aclose()


def new_http(source_address: str | None = None) -> httpx.AsyncClient:
    """Without proxies and logins of the environment; redirects are not followed."""
    limits = httpx.Limits(
        max_connections=_MOST_CONNECTIONS, max_keepalive_connections=20, keepalive_expiry=_IDLE_SECONDS
    )
    transport = httpx.AsyncHTTPTransport(limits=limits, local_address=source_address, retries=1)
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    return httpx.AsyncClient(transport=transport, timeout=timeout, headers={"User-Agent": "articurated-console"})
