"""The HTTP server of a process: uvicorn with limits for clients, which stops when the process says so."""

import asyncio
import resource
import socket
from functools import partial
from typing import Any, cast

import uvicorn

from common.internals.uvicorn import UvicornServer
from common.running.http.connections import Connections
from common.running.http.forwarded import ForwardedClient
from common.running.http.limits import HttpLimits
from common.running.http.protocol import BoundedProtocol
from common.settings import ProcessSettings

_BACKLOG = 2048
_SEND_BUFFER_BYTES = 256 * 1024
# Besides the connections of clients: those to PostgreSQL and Kafka, files, libraries.
_OTHER_FILES = 512


class HttpServer:
    """Listens as soon as it is created. `app`, an ASGI application, may be replaced while it runs."""

    def __init__(self, app: Any, settings: ProcessSettings, limits: HttpLimits | None = None) -> None:
        """Without `limits`, those of the settings apply. Raises `OSError` when the address is in use."""
        self.app = app
        family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
        self._socket = socket.create_server((settings.http_host, settings.http_port), family=family, backlog=_BACKLOG)
        # Connections inherit this from the listening socket. By default the system buffers 4 MiB of an unread answer.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        host, port, *_ = self._socket.getsockname()
        self.address = f"http://{host}:{port}"
        self.connections = Connections(limits or HttpLimits.of(settings))
        _allow_open_files(self.connections.limits.connections + _OTHER_FILES)
        protocol = cast(type[asyncio.Protocol], partial(BoundedProtocol, connections=self.connections))
        self._server = UvicornServer(
            uvicorn.Config(
                ForwardedClient(self._call, settings.trusted_proxies) if settings.trusted_proxies else self._call,
                interface="asgi3",
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
            )
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until `stopping` is set, then accept no more requests, and return after the last answer."""
        serve_task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        sweep_task = asyncio.create_task(self.connections.sweep_regularly())
        stop_task = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({serve_task, sweep_task, stop_task}, return_when=asyncio.FIRST_COMPLETED)
            self.connections.is_stopping = self._server.should_exit = True
            await serve_task
            if sweep_task.done():
                await sweep_task  # raises the error that ended it
        finally:
            for task in (serve_task, sweep_task, stop_task):
                task.cancel()

    async def _call(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def _allow_open_files(number: int) -> None:
    """Raise the limit of this process if it is lower: the system's default is often 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard), hard))
