"""The end of a connection: after its answers, with a refusal that the client can read, or immediately."""

import asyncio
from enum import Enum
from typing import Any, cast

from common.errors import Problem
from common.internals.uvicorn import Cycle, OurTransport, UvicornProtocol
from common.running.http.connections import NEVER, Connections, ended
from common.running.http.refusal import refusal


class Phase(Enum):
    """What the client sends next."""

    REQUEST = "request"
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"  # all input is dropped


class EndingProtocol(UvicornProtocol):
    """`_deadline` and `_since` are in the time of `Connections`."""

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
        self._begun = 0  # requests whose first byte was received
        self._method: bytes | None = None  # of a request that is parsed with another method's name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        ours = OurTransport(self._raw, self._close, lambda: self._is_ending or self._raw.is_closing())
        super().connection_made(cast(asyncio.Transport, ours))

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ending = True
        super().connection_lost(exc)

    def on_idle(self) -> None:
        if self._refusal is not None:
            self._send_refusal(self._refusal)
        else:
            self.flow.resume_reading()
            if self._phase is Phase.REQUEST:
                self._wait(self._limits.keep_alive_seconds)

    def _refuse(self, problem: Problem, reason: str) -> None:
        """Answer, after the answers to earlier requests, and end the connection."""
        was_in_body, self._phase, self._deadline = self._phase is Phase.BODY, Phase.NOTHING, NEVER
        ended.labels(reason).inc()
        cycle = self.unanswered()
        if was_in_body and cycle is None:
            self._linger()  # already answered: only the rest of its body was missing
            return
        answer = self._answer(problem, reason)
        if cycle is None:
            self._send_refusal(answer)
        elif not was_in_body or self.forget_waiting(cycle):
            self._refusal = answer
        else:
            self._take_from_application(cycle, answer)

    def _take_from_application(self, cycle: Cycle, answer: bytes) -> None:
        """The application waits for a body that will not come."""
        self.disconnect(cycle)
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
            server_headers=self.default_headers,
            without_body=is_head,
        )

    def _close(self) -> None:
        """uvicorn calls this after the last answer, which the client would lose if unread input were left."""
        if self._phase is Phase.BODY and not self._is_ending:
            self._linger()
        else:
            self._end()

    def _end(self) -> None:
        """Close when everything is sent, or when the client's time to read it is over."""
        self._phase, self._is_ending = Phase.NOTHING, True
        self._wait(self._limits.stall_seconds)
        self._raw.close()

    def _linger(self) -> None:
        """Send the end of the answers, and read and drop input for some seconds."""
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
