"""The console with the four services on real databases, each at an address of its own; without Kafka."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from common.access.auth import Role
from console.app import Console
from local_stack.services import SERVICES
from support.console.browser import Browser, browser_of, console_of
from support.gateway.application import Gateway, serve
from support.gateway.raw_http import SETTINGS, RawServer, limits, raw_server
from support.postgres.databases import MakeDatabase


@dataclass(frozen=True)
class System:
    console: Console
    gateways: dict[str, Gateway]
    servers: dict[str, RawServer]

    @property
    def orders(self) -> Gateway:
        return self.gateways["orders"]

    async def logged_in(self, role: Role, *, address: str = "192.0.2.7") -> Browser:
        browser = browser_of(self.console, address=address)
        page = await browser.log_in(role)
        assert page.status == 200, page.text
        return browser


@asynccontextmanager
async def system(make_database: MakeDatabase, **settings: Any) -> AsyncIterator[System]:
    """`settings` are those of the console."""
    gateways: dict[str, Gateway] = {}
    async with AsyncExitStack() as stack:
        for name in SERVICES:
            service = import_module(f"{name}.app").SERVICE
            gateways[name] = await stack.enter_async_context(serve(service, make_database(name), database_pool_size=5))
        yield await stack.enter_async_context(system_of(gateways, **settings))


@asynccontextmanager
async def system_of(gateways: dict[str, Gateway], **settings: Any) -> AsyncIterator[System]:
    """The console before these gateways."""
    trusting = SETTINGS.model_copy(update={"trusted_proxies": "127.0.0.1"})
    servers: dict[str, RawServer] = {}
    async with AsyncExitStack() as stack:
        for name in SERVICES:
            bounds = limits(body_bytes=2**20)
            servers[name] = await stack.enter_async_context(raw_server(gateways[name].app, bounds, trusting))
        urls = {f"{name}_url": server.server.address for name, server in servers.items()}
        console = await stack.enter_async_context(console_of(**{**urls, **settings}))
        yield System(console, gateways, servers)
