"""Clients that mean harm, in a process of their own, which `hostile_clients.py` starts.

    python -m chaos.hostile_attacks ATTACK SECONDS PORT... [--key KEY]

They call 127.0.0.1 only, are so many and no more, and end by themselves.
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
# Whose orders are the largest that there can be.
LARGE_CUSTOMER = "6f1d2c9a-4b1e-4e55-9d0a-0c6f3c1f0002"
HEADER_LINES = 200_000
HEAD_BYTES = 100_000_000
# 1.5 MB, open to everybody: with 14 of them, a connection has 20 MB to read.
OPEN_FILE = "/static-offline-docs/swagger-ui-bundle.js"


async def header_lines(port: int, _: str) -> None:
    """Again and again, one connection after the other."""
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(HEADER_LINES))
    while True:
        await _send(port, b"GET /livez HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")


async def large_head(port: int, _: str) -> None:
    part = b"x" * 1_000_000
    while True:
        await _send(port, b"GET /livez HTTP/1.1\r\nHost: a\r\nX: ", *[part] * (HEAD_BYTES // len(part)))


async def half_open(port: int, _: str) -> None:
    """Half of them stop within the head, half within the body; what is closed is opened anew, ten times a second."""
    await asyncio.gather(*(_keep_half_open(port, number) for number in range(HALF_OPEN)))


async def unread_answers(port: int, _: str) -> None:
    request = f"GET {OPEN_FILE} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 14
    await asyncio.gather(*(_never_read(port, request, number * 0.02) for number in range(UNREAD)))


async def unread_pages(port: int, key: str) -> None:
    """The largest list pages, with a client's key; three a second, so that making them is not the attack."""
    address = f"/api/v1/orders?limit=100&customer_id={LARGE_CUSTOMER}"
    request = f"GET {address} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"
    await asyncio.gather(*(_never_read(port, request.encode(), number / 3) for number in range(UNREAD)))


ATTACKS: dict[str, Attack] = {
    "header lines": header_lines,
    "large head": large_head,
    "half open": half_open,
    "unread answers": unread_answers,
    "unread pages": unread_pages,
}


async def _send(port: int, *parts: bytes) -> None:
    """Send as much as the server takes, and read what it says."""
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
    sent = head if number % 2 else head + b"\r\n{"
    await asyncio.sleep(number / HALF_OPEN * 5)  # 200 a second
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
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
    chosen = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(10_000, hard), hard))
    asyncio.run(main(ATTACKS[chosen.attack], chosen.seconds, chosen.ports, chosen.key))
