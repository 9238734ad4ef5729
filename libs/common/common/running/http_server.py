"""The HTTP server of a process: uvicorn, told when to stop by us and not by signals of its own."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from common.settings import ServiceSettings

_BACKLOG = 2048
# Longer than load balancers keep idle connections (60 s), so that it is never us who close one that is just being used.
_KEEP_ALIVE_SECONDS = 75


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Listens from the moment it is made. `app`, an ASGI application, may be exchanged while it runs."""

    def __init__(self, app: Any, settings: ServiceSettings) -> None:
        """Raises `OSError` when the address is taken."""
        self.app = app
        family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
        self._socket = socket.create_server((settings.http_host, settings.http_port), family=family, backlog=_BACKLOG)
        host, port, *_ = self._socket.getsockname()
        self.address = f"http://{host}:{port}"
        self._server = _Uvicorn(
            uvicorn.Config(
                self._call,
                interface="asgi3",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until `stopping` is set, then take no more, and return when the last answer is out."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        stopped = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
            self._server.should_exit = True
            await serving
        finally:
            serving.cancel()
            stopped.cancel()

    async def _call(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)
