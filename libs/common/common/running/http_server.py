"""The HTTP server of a process: uvicorn, told when to stop by us and not by signals of its own."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import uvicorn

from common.running.http.connections import Connections
from common.running.http.limits import HttpLimits
from common.running.http.protocol import BoundedProtocol
from common.settings import ServiceSettings

_BACKLOG = 2048
_SEND_BUFFER_BYTES = 256 * 1024
# Besides the connections of clients: those to PostgreSQL and Kafka, files, libraries.
_OTHER_FILES = 512


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Listens from the moment it is made. `app`, an ASGI application, may be exchanged while it runs."""

    def __init__(self, app: Any, settings: ServiceSettings, limits: HttpLimits | None = None) -> None:
        """`limits` are those of the settings if not given. Raises `OSError` when the address is taken."""
        self.app = app
        family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
        self._socket = socket.create_server((settings.http_host, settings.http_port), family=family, backlog=_BACKLOG)
        # Connections have this from the one that listens. By itself the system takes up to 4 MiB of an unread answer.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        host, port, *_ = self._socket.getsockname()
        self.address = f"http://{host}:{port}"
        self.connections = Connections(limits or HttpLimits.of(settings))
        _allow_open_files(self.connections.limits.connections + _OTHER_FILES)
        protocol = cast(type[asyncio.Protocol], partial(BoundedProtocol, connections=self.connections))
        self._server = _Uvicorn(
            uvicorn.Config(
                self._call,
                interface="asgi3",
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies,
                backlog=_BACKLOG,
            )
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until `stopping` is set, then take no more, and return when the last answer is out."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        sweeping = asyncio.create_task(self.connections.sweep_regularly())
        stopped = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({serving, sweeping, stopped}, return_when=asyncio.FIRST_COMPLETED)
            self.connections.is_stopping = self._server.should_exit = True
            await serving
            if sweeping.done():
                await sweeping  # raises what ended it
        finally:
            for task in (serving, sweeping, stopped):
                task.cancel()

    async def _call(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def _allow_open_files(number: int) -> None:
    """Raise this process's limit where the system's default, often 1,024, is less than what the settings allow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard), hard))
