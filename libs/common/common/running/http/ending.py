"""How a connection ends: after its answers, with a refusal that the client can read, or at once.

This module, `timing` and `protocol` are all that touches what uvicorn does not promise to keep: attributes of its
`HttpToolsProtocol` and `RequestResponseCycle`. A test fails when another version is installed than the one below.
"""

import asyncio
from enum import Enum
from typing import Any, cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from common.errors import Problem
from common.running.http.connections import NEVER, Connections, ended
from common.running.http.refusal import refusal
from common.running.http.transport import OurTransport

CHECKED_UVICORN = "0.54.0"


class Phase(Enum):
    """What comes next from the client."""

    REQUEST = "request"
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"  # whatever still comes is dropped


class EndingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, whose ends are ours. `_deadline` and `_since` are in the time of `Connections`."""

    def __init__(self, *args: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections = connections
        self._limits = connections.limits
        self._raw: asyncio.Transport = None  # type: ignore[assignment]  # set when the connection is made
        self._phase = Phase.REQUEST
        self._since = self._deadline = 0.0
        self._is_ending = False
        # A refusal that waits until earlier requests are answered.
        self._refusal: bytes | None = None
        # Whose answer is under way: with requests in a row not `cycle`, which is the last one.
        self._answering: RequestResponseCycle | None = None
        self._begun = 0  # requests whose first byte has come
        self._method: bytes | None = None  # of a request that the parser is shown under another method's name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        ours = OurTransport(self._raw, self._close, lambda: self._is_ending or self._raw.is_closing())
        super().connection_made(cast(asyncio.Transport, ours))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ending = True
        self.pipeline.clear()
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """As uvicorn has it, but without a timer for each request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self._refusal is not None:
            self._send_refusal(self._refusal)
        else:
            self.flow.resume_reading()
            if self._phase is Phase.REQUEST:
                self._wait(self._limits.keep_alive_seconds)

    def _refuse(self, problem: Problem, reason: str) -> None:
        """Answer, after the answers to earlier requests, and end the connection."""
        was_in_body, self._phase, self._deadline = self._phase is Phase.BODY, Phase.NOTHING, NEVER
        ended.labels(reason).inc()
        cycle = self._unanswered()
        if was_in_body and cycle is None:
            self._linger()  # answered already; only the rest of its body was waited for
            return
        answer = self._answer(problem, reason)
        if cycle is None:
            self._send_refusal(answer)
        elif not was_in_body:
            self._refusal = answer
        elif self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
            self._refusal = answer
        else:
            self._take_from_application(cycle, answer)

    def _unanswered(self) -> RequestResponseCycle | None:
        """The last request, while its answer is not complete."""
        cycle = cast(RequestResponseCycle | None, self.cycle)
        return cycle if cycle is not None and not cycle.response_complete else None

    def _take_from_application(self, cycle: RequestResponseCycle, answer: bytes) -> None:
        """The application waits for a body that will not come, and is told that the client is gone."""
        cycle.disconnected = True
        cycle.message_event.set()
        if cycle.response_started:
            self._raw.abort()
        else:
            self._send_refusal(answer)

    def _send_refusal(self, answer: bytes) -> None:
        self._raw.write(answer)
        self._linger()

    def _answer(self, problem: Problem, reason: str) -> bytes:
        is_head = self._method is None and self._begun > 0 and self.parser.get_method() == b"HEAD"
        return refusal(
            problem,
            reason=reason,
            client=self.client[0] if self.client else None,
            target=self.url if self._begun else b"",
            headers=self.headers or (),
            server_headers=self.server_state.default_headers,
            without_body=is_head,
        )

    def _close(self) -> None:
        """What uvicorn calls when the last answer is out. Closing on unread input would make the client lose it."""
        if self._phase is Phase.BODY and not self._is_ending:
            self._linger()
        else:
            self._end()

    def _end(self) -> None:
        """Close as soon as all is sent, or when the client has had its time to take it."""
        self._phase, self._is_ending = Phase.NOTHING, True
        self._wait(self._limits.stall_seconds)
        self._raw.close()

    def _linger(self) -> None:
        """Send the end of the answers, and go on to read and drop what comes, for a time."""
        if self._connections.is_stopping or self._raw.is_closing():
            self._end()
            return
        self._phase, self._is_ending = Phase.NOTHING, True
        self._wait(self._limits.linger_seconds)
        self.flow.resume_reading()
        self._raw.write_eof()

    def _wait(self, seconds: float) -> None:
        self._since = self._connections.now
        self._deadline = self._since + seconds
