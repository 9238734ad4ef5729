"""The connection as uvicorn sees it: its own transport, but for the end, which is ours to time."""

import asyncio
from collections.abc import Callable


class OurTransport:
    """Writes and reads go straight to uvloop; `close` and `is_closing` are the protocol's."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None], is_closing: Callable[[], bool]) -> None:
        self.write = transport.write
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info
        self.close = close
        self.is_closing = is_closing
