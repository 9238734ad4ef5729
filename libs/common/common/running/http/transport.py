"""The transport of a connection as uvicorn sees it; its end is controlled by our protocol."""

import asyncio
from collections.abc import Callable


class OurTransport:
    """`close` and `is_closing` are the protocol's. Data that is written after the end is dropped: uvloop would raise an
    error, which would be logged with its stack."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None], is_closing: Callable[[], bool]) -> None:
        self._write = transport.write
        self._has_ended = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info
        self.close = close
        self.is_closing = is_closing

    def write(self, data: bytes) -> None:
        if not self._has_ended():
            self._write(data)
