"""Loads a JWK Set from a file or a URL."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

LARGEST_DOCUMENT = 256 * 1024
LOAD_SECONDS = 5.0
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "articurated"}


def from_file(path: Path) -> Callable[[], Awaitable[bytes]]:
    """The file is read again at each load, so that it can be replaced. Raises `ValueError` when it is too large."""

    def read() -> bytes:
        with path.open("rb") as file:
            return _bounded(file.read(LARGEST_DOCUMENT + 1))

    async def load() -> bytes:
        return await asyncio.to_thread(read)

    return load


def from_url(url: str) -> Callable[[], Awaitable[bytes]]:
    """Redirects are not followed: they could lead to another host. Raises `httpx.HTTPError`, `TimeoutError`, and
    `ValueError` for any other answer than a document of at most `LARGEST_DOCUMENT` bytes."""
    # A connection that nobody uses for minutes would only be found closed.
    client = httpx.AsyncClient(headers=_HEADERS, limits=httpx.Limits(max_keepalive_connections=0), timeout=LOAD_SECONDS)

    async def load() -> bytes:
        async with asyncio.timeout(LOAD_SECONDS), client.stream("GET", url) as response:
            if response.status_code != 200:
                raise ValueError(f"the provider answered {response.status_code}")
            document = b""
            async for chunk in response.aiter_raw():
                document = _bounded(document + chunk)
            return document

    return load


def _bounded(document: bytes) -> bytes:
    if len(document) > LARGEST_DOCUMENT:
        raise ValueError(f"the document has more than {LARGEST_DOCUMENT} bytes")
    return document
