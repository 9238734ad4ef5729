"""HTTP server that stops promptly at SIGTERM or SIGINT, even with unanswered requests."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.connection import ResettableProtocol

logger = logging.getLogger(__name__)

GRACE_SECONDS = 0.4
"""Time for requests in progress after SIGTERM; then their connections are closed without a response."""


class ServerStoppingError(Exception):
    """The server stops before the end of a pause."""


class PromptServer(uvicorn.Server):
    """Exits with 0 at SIGTERM, where uvicorn ends by the signal, and closes unanswered connections without a 500."""

    def __init__(self, app: Starlette, *, host: str, port: int, name: str, other_addresses: str = "") -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=ResettableProtocol,
                ws="none",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        app.state.stopping = self._stopping = asyncio.Event()
        self._name = name
        self._other_addresses = other_addresses

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, self._stop)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        logger.info("%s ready: http=%s:%d%s", self._name, host, port, self._other_addresses)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._abort_connections)
        await super().shutdown(sockets)

    def _stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


async def hold_until_disconnect(request: Request) -> Response:
    """Never respond: wait until the client disconnects or the server stops. The returned response is not received."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response(status_code=504)


async def pause(request: Request, seconds: float) -> None:
    """Wait, even if the client disconnects. Raises ServerStoppingError when the server stops first."""
    stopping: asyncio.Event = request.app.state.stopping
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
    raise ServerStoppingError


async def _answer_ok(_: Request) -> Response:
    return PlainTextResponse("ok")


HEALTH_ROUTES = [Route("/livez", _answer_ok), Route("/readyz", _answer_ok)]
