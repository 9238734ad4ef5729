"""HTTP connections that can be reset in the middle of a request or a response."""

import socket
import struct
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

_CONNECTION = "sandbox.connection"
# Close with a reset (RST) instead of an orderly end (FIN).
_RESET = struct.pack("ii", 1, 0)


class ResettableProtocol(H11Protocol):
    """Counts the bytes of the current request, and passes itself to the application."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.request_bytes = 0
        self._answered: object = None
        application = self.app

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            await application(scope | {_CONNECTION: self}, receive, send)

        self.app = serve

    def data_received(self, data: bytes) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.response_complete and cycle is not self._answered:
            self._answered, self.request_bytes = cycle, 0
        self.request_bytes += len(data)
        super().data_received(data)

    def reset(self, last_bytes: bytes = b"") -> None:
        """Send these bytes, then reset the connection. The client can still read what it has received."""
        self.transport.write(last_bytes)
        connection: socket.socket = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


def connection_of(request: Request) -> ResettableProtocol:
    connection: ResettableProtocol = request.scope[_CONNECTION]
    return connection


def response_bytes(response: Response) -> bytes:
    """The response as it is sent: status line, headers and body."""
    head = [f"HTTP/1.1 {response.status_code} ".encode()]
    head += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*head, b"", bytes(response.body)])
