"""HTTP as bytes on a socket: requests that no client library sends, and responses as they arrive."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from common.running.http.limits import HttpLimits
from common.running.http_server import HttpServer
from common.settings import ProcessSettings, ServiceSettings
from support.running import running

SETTINGS = ServiceSettings(
    database_url="postgresql://nobody@127.0.0.1:9/none", kafka_bootstrap="127.0.0.1:9", http_port=0
)
LONG = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


class RawClient:
    """One connection. Every wait ends after 10 seconds with `TimeoutError`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
        async with asyncio.timeout(10):
            await self.writer.drain()

    async def answer(self, *, has_body: bool = True) -> Answer:
        """Raises `asyncio.IncompleteReadError` when the connection ends before."""
        async with asyncio.timeout(10):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            size = int(headers.get("content-length", "0")) if has_body else 0
            body = await self._reader.readexactly(size)
        return Answer(int(head[0].split(" ")[1]), headers, body)

    async def ask(self, *parts: bytes) -> Answer:
        await self.send(*parts)
        return await self.answer()

    async def rest(self) -> bytes:
        """All bytes until the server closes the connection; a reset counts as closed."""
        async with asyncio.timeout(10):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    async def __aenter__(self) -> "RawClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.transport.abort()


@dataclass(frozen=True)
class RawServer:
    server: HttpServer
    _clients: list[RawClient] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.server.address.rpartition(":")[2])

    async def connect(self, *, limit: int = 2**16) -> RawClient:
        self._clients.append(RawClient(*await asyncio.open_connection("127.0.0.1", self.port, limit=limit)))
        return self._clients[-1]

    def drop_clients(self) -> None:
        for client in self._clients:
            client.writer.transport.abort()


def limits(**changes: Any) -> HttpLimits:
    """Limits that no test reaches, with these changes."""
    defaults: dict[str, Any] = {
        "connections": 100,
        "head_seconds": LONG,
        "body_seconds": LONG,
        "stall_seconds": LONG,
        "body_bytes": 1000,
        "unsent_bytes": 2**26,
    }
    return HttpLimits(**{**defaults, **changes})


@asynccontextmanager
async def raw_server(
    app: Any, http_limits: HttpLimits | None = None, settings: ProcessSettings = SETTINGS
) -> AsyncIterator[RawServer]:
    """Run `app` on a real server, which must stop within 5 seconds."""
    server = RawServer(HttpServer(app, settings, http_limits or limits()))
    try:
        async with running(server.server.run, stop_within=5):
            yield server
    finally:
        server.drop_clients()


HOST = b"Host: shop.example\r\n"
GET = b"GET /hello HTTP/1.1\r\n" + HOST + b"\r\n"


def post(path: bytes, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", HOST.strip(), b"Content-Length: %d" % len(body), *headers, b"", b""]
    return b"\r\n".join(lines) + body


class EchoApplication:
    """Responds with the method at `/hello`, the body at `/echo`, 401 at `/closed`, and a long body at `/large`."""

    def __init__(self, large: int = 20_000_000) -> None:
        self.large = large
        self.gate = asyncio.Event()
        self.client_gone = 0
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        match scope["path"]:
            case "/echo":
                status, body = 200, await self._body(receive)
                if body is None:
                    return
            case "/slow":
                await self.gate.wait()
                status, body = 200, b"at last"
            case "/large":
                status, body = 200, b"x" * self.large
            case "/closed":
                status, body = 401, b"no"
            case _:
                status, body = 200, scope["method"].encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _body(self, receive: Any) -> bytes | None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.client_gone += 1
                return None
            body += message["body"]
            more = message["more_body"]
        return body


def assert_error(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert answer.status == status, answer
    assert answer.error["code"] == code
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["x-request-id"] in answer.headers["traceparent"]
    details: dict[str, Any] = answer.error["details"]
    return details


async def assert_other_clients_are_served(server: RawServer) -> None:
    async with await server.connect() as other:
        assert (await other.ask(GET)).body == b"GET"
