"""The connection as uvicorn sees it: its own transport, but for the end, which is ours to time."""

import asyncio
from collections.abc import Callable


class OurTransport:
    """`close` and `is_closing` are the protocol's. What is written after the end is dropped: uvloop raises for it, and
    each such error is a stack in the log."""

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
