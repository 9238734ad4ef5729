"""A server that receives webhooks and remembers them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

# Status of the answer to a webhook with these headers and this body.
Forward = Callable[[Mapping[str, str], bytes], Awaitable[int]]


@dataclass
class WebhookReceiver:
    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """Headers, by lower-case name, and body."""
    paths: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Of the next answers; 200 when there are no more."""
    forward: Forward | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request_line, *head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.paths.append(request_line.split(" ")[1])
        self.requests.append((headers, body))
        status = self.statuses.pop(0) if self.statuses else 200
        if self.forward is not None:
            status = await self.forward(headers, body)
        writer.write(f"HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()


@asynccontextmanager
async def webhook_receiver(forward: Forward | None = None) -> AsyncIterator[WebhookReceiver]:
    """With `forward`, webhooks are answered by that function."""
    receiver = WebhookReceiver(forward=forward)
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0) as server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhooks"
        yield receiver
