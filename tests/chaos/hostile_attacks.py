"""The hostile clients, in a process of their own that `hostile_clients.py` starts.

    python -m chaos.hostile_attacks ATTACK SECONDS PORT... [--key KEY]

They connect to 127.0.0.1 only, have a fixed number of connections, and end after the given time.
"""

import argparse
import asyncio
import contextlib
import resource
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

Attack = Callable[[int, str], Coroutine[Any, Any, None]]

HALF_OPEN = 1_000
UNREAD = 100
# The customer with orders of the maximum size.
LARGE_CUSTOMER = "6f1d2c9a-4b1e-4e55-9d0a-0c6f3c1f0002"
HEADER_LINES = 200_000
HEAD_BYTES = 100_000_000
# 1.5 MB, available without a key: 14 requests make 20 MB of responses on a connection.
OPEN_FILE = "/static-offline-docs/swagger-ui-bundle.js"


async def header_lines(port: int, _: str) -> None:
    """Send heads with too many lines, on one connection after the other."""
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(HEADER_LINES))
    while True:
        await _send(port, b"GET /livez HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")


async def large_head(port: int, _: str) -> None:
    """Send heads that are too large, on one connection after the other."""
    part = b"x" * 1_000_000
    while True:
        await _send(port, b"GET /livez HTTP/1.1\r\nHost: a\r\nX: ", *[part] * (HEAD_BYTES // len(part)))


async def half_open(port: int, _: str) -> None:
    """Stop within the head on half of the connections, within the body on the others; reopen those that are closed."""
    await asyncio.gather(*(_keep_half_open(port, number) for number in range(HALF_OPEN)))


async def unread_responses(port: int, _: str) -> None:
    """Request a large file on many connections, and never read the responses."""
    request = f"GET {OPEN_FILE} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 14
    await asyncio.gather(*(_never_read(port, request, number * 0.02) for number in range(UNREAD)))


async def unread_pages(port: int, key: str) -> None:
    """Request the largest list pages with a client's key and never read them; three a second, to limit the load."""
    address = f"/api/v1/orders?limit=100&customer_id={LARGE_CUSTOMER}"
    request = f"GET {address} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"
    await asyncio.gather(*(_never_read(port, request.encode(), number / 3) for number in range(UNREAD)))


ATTACKS: dict[str, Attack] = {
    "header lines": header_lines,
    "large head": large_head,
    "half open": half_open,
    "unread responses": unread_responses,
    "unread pages": unread_pages,
}


async def _send(port: int, *parts: bytes) -> None:
    """Send the parts until the server closes the connection, and read its response."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            await reader.read()
        finally:
            writer.transport.abort()
    await asyncio.sleep(0.1)


async def _keep_half_open(port: int, number: int) -> None:
    head = b"POST /api/v1/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
    data = head if number % 2 else head + b"\r\n{"
    await asyncio.sleep(number / HALF_OPEN * 5)  # 200 a second
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            await reader.read()
            writer.transport.abort()
        await asyncio.sleep(0.1)


async def _never_read(port: int, request: bytes, delay: float) -> None:
    await asyncio.sleep(delay)
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(request)
        await asyncio.sleep(3600)


async def main(attack: Attack, seconds: float, ports: list[int], key: str) -> None:
    running: list[Awaitable[None]] = [attack(port, key) for port in ports]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*running)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attack", choices=ATTACKS)
    parser.add_argument("seconds", type=float)
    parser.add_argument("ports", type=int, nargs="+")
    parser.add_argument("--key", default="")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(10_000, hard), hard))
    asyncio.run(main(ATTACKS[arguments.attack], arguments.seconds, arguments.ports, arguments.key))
