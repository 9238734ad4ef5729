"""The origin on a real server, before services that a test chooses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from origin.application import Origin
from origin.settings import OriginSettings
from support.gateway.raw_http import RawServer, limits, raw_server

# Nothing listens here.
CLOSED = "http://127.0.0.1:9"


@asynccontextmanager
async def origin_of(**changes: Any) -> AsyncIterator[RawServer]:
    origin_settings = OriginSettings(**{"http_port": 0, "orders_url": CLOSED, "returns_url": CLOSED, **changes})
    origin = Origin(origin_settings)
    try:
        async with raw_server(origin, limits(body_bytes=2**20), settings=origin_settings) as front:
            yield front
    finally:
        await origin.close()
