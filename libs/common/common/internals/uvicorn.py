"""Internals of uvicorn: its HTTP protocol on httptools, with our limits and timeouts, and its server (ADR 17)."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import httptools
import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

CHECKED_UVICORN = "0.54.0"

# A request, from its head to the end of its answer. Of its attributes we use `response_started`, `response_complete`,
# `more_body` and `keep_alive`.
Cycle = RequestResponseCycle


class UvicornServer(uvicorn.Server):
    """Without uvicorn's handlers of signals: the process stops its roles itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class UvicornProtocol(HttpToolsProtocol):
    """uvicorn's protocol without its timers, with methods for what uvicorn has only as attributes.

    Subclasses use unchanged: `parser`, `flow`, `transport`, `url`, `headers`, `client`, `scope`, `expect_100_continue`,
    and the callbacks of the parser. A request that waits for the answer to an earlier one is in `pipeline`, the newest
    one first.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # The request that the application answers now. `cycle` is the one that was received last.
        self._answering: Cycle | None = None

    def _start_asgi_task(self, cycle: Cycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """uvicorn disconnects the request that came last, and would answer those that wait."""
        self.pipeline.clear()
        if self._answering is not None:
            self.disconnect(self._answering)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start the next request, or call `on_idle`. The method of uvicorn that this replaces starts a timer for each
        idle connection."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.on_idle()

    def on_idle(self) -> None:
        """All requests are answered."""

    def unanswered(self) -> Cycle | None:
        """The last request, while its answer is not complete."""
        cycle = cast(Cycle | None, self.cycle)
        return cycle if cycle is not None and not cycle.response_complete else None

    def forget_waiting(self, cycle: Cycle) -> bool:
        """Whether this request, the last one, waits for the answer to an earlier one; it is then not answered."""
        if not self.pipeline or self.pipeline[0][0] is not cycle:
            return False
        self.pipeline.popleft()
        return True

    def disconnect(self, cycle: Cycle) -> None:
        """The application's `receive` returns that the client is gone."""
        cycle.disconnected = True
        cycle.message_event.set()

    @property
    def default_headers(self) -> Iterable[tuple[bytes, bytes]]:
        """The headers of every answer of the server."""
        return self.server_state.default_headers

    def renew_parser(self) -> None:
        """After an upgrade, or a method that it does not know, the parser accepts nothing more."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)


class OurTransport:
    """The transport of a connection as uvicorn sees it. uvicorn calls only the methods that are here.

    `close` and `is_closing` are the protocol's. Data that is written after the end is dropped: uvloop would raise an
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
