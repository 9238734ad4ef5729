"""uvicorn's HTTP protocol with limits: what a client may send, and for how long it may be waited for (ADR 0017).

The only module that touches what uvicorn does not promise to keep: attributes of `HttpToolsProtocol` and of its
`RequestResponseCycle`. Checked with the version below; a test fails when another one is installed.
"""

import asyncio
from enum import Enum
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from common.errors import Code, Problem
from common.running.http_connections import NEVER, Connections, ended
from common.running.http_head import (
    bad_request,
    check_host,
    check_transfer_encoding,
    check_version,
    head_size,
    head_too_large,
    method_of,
    origin_target,
    target_too_long,
    too_many_lines,
)
from common.running.http_limits import (
    MAX_DISCARDED_BYTES,
    MAX_FRAMING_BYTES,
    MAX_FRAMING_FACTOR,
    MAX_HEAD_BYTES,
    MAX_HEADER_LINES,
    MAX_PIPELINED,
    MAX_TARGET_BYTES,
    MIN_ANSWER_BYTES_PER_SECOND,
)
from common.running.http_refusal import refusal
from common.running.http_transport import OurTransport

CHECKED_UVICORN = "0.54.0"

_SPECIAL_HEADERS = frozenset({b"host", b"transfer-encoding", b"content-length", b"expect"})


class Phase(Enum):
    """What comes next from the client."""

    REQUEST = "request"
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"  # whatever still comes is dropped


class BoundedProtocol(HttpToolsProtocol):
    """One connection. It notes when its time is over, and `Connections` looks: so no request needs a timer."""

    def __init__(self, *args: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections = connections
        self._limits = connections.limits
        self._raw: asyncio.Transport = None  # type: ignore[assignment]  # set when the connection is made
        self._phase = Phase.REQUEST
        self._since = self._deadline = 0.0
        self._stall_mark, self._stall_until = 0, 0.0
        self._is_ending = False
        # A refusal that waits until earlier requests are answered.
        self._refusal: bytes | None = None

        # Of the request that is being read
        self._begun = 0
        self._fed_bytes = self._head_bytes = self._wire_bytes = self._body_bytes = self._discarded_bytes = 0
        self._hosts: list[bytes] = []
        self._encodings: list[bytes] = []
        self._must_close = False
        self._trailers = 0
        # The header that tells where the body ends; empty where there is none.
        self._framing = b""
        self._is_resuming = False
        self._method: bytes | None = None

    # --- the connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        ours = OurTransport(self._raw, self._close, lambda: self._is_ending or self._raw.is_closing())
        super().connection_made(cast(asyncio.Transport, ours))
        self._wait(self._limits.head_seconds)
        if not self._connections.add(self):
            self._refuse(_no_room(), "no room")

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        self._is_ending = True
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Idle and half-sent heads end at once; a half-sent body or an unread answer has a little more time."""
        soon = self._connections.now + self._limits.stopping_seconds
        self._stall_until = min(self._stall_until, soon)
        cycle = self._unanswered()
        if cycle is None:
            self._end()
            self._deadline = soon
            return
        cycle.keep_alive = False
        if self._phase is Phase.BODY:
            self._deadline = min(self._deadline, soon)

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

    # --- what is read ---

    def data_received(self, data: bytes) -> None:
        while data:
            if self._phase is Phase.NOTHING:
                self._discard(len(data))
                return
            data = self._feed(data)

    def _feed(self, data: bytes) -> bytes:
        """Have it parsed, and return what of it is to be parsed by another parser."""
        self._fed_bytes, begun, was_new = len(data), self._begun, self._phase is Phase.REQUEST
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade()
            return data[upgrade.args[0] :]
        except httptools.HttpParserInvalidMethodError:
            # The parser knows a list of methods. The application knows what to say to others.
            line = data.lstrip(b"\r\n")
            method = method_of(line) if was_new and self._begun == begun + 1 else None
            if method is not None:
                self._method, self._phase = method, Phase.REQUEST
                self._renew_parser()
                return b"GET" + line[len(method) :]
            self._refuse(bad_request("The request begins with no method that is known here."), "malformed")
        except httptools.HttpParserError as error:
            cause = error.__context__
            malformed = bad_request("The request is not valid HTTP/1.1.", reason=str(error))
            self._refuse(cause if isinstance(cause, Problem) else malformed, "malformed")
        else:
            self._count(len(data))
        return b""

    def _count(self, size: int) -> None:
        """The bytes of a head, and of a body's framing, that is not complete. Of the data that a head or a body began
        in nobody knows where it began: it is not counted (see `_not_yet`)."""
        if self._phase is Phase.HEAD:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(head_too_large(), "head too large")
        elif self._phase is Phase.BODY:
            self._wire_bytes += size
            if self._wire_bytes > MAX_FRAMING_BYTES + MAX_FRAMING_FACTOR * self._body_bytes:
                self._refuse(bad_request("The body's chunks are mostly framing."), "malformed")

    def _not_yet(self) -> int:
        """Where a count begins so that the data being fed comes to nothing."""
        return -self._fed_bytes

    def _discard(self, size: int) -> None:
        self._discarded_bytes += size
        if self._discarded_bytes > MAX_DISCARDED_BYTES:
            if self._is_ending:
                self._raw.abort()
            else:
                self.flow.pause_reading()

    def _ignore_upgrade(self) -> None:
        """An upgrade may be ignored (RFC 9110, 7.8), but the parser has taken the request for one without a body, and
        takes nothing more: another one goes on with the body."""
        self._renew_parser()
        if self._phase is Phase.BODY:
            self._is_resuming = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + self._framing + b"\r\n\r\n")
            self._is_resuming = False

    def _renew_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    # --- callbacks of the parser; a `Problem` that they raise is the answer ---

    def on_message_begin(self) -> None:
        if self._is_resuming:
            return
        super().on_message_begin()
        self._phase = Phase.HEAD
        self._begun += 1
        self._head_bytes = self._not_yet()
        self._hosts, self._encodings, self._must_close, self._trailers, self._framing = [], [], False, 0, b""
        self._wait(self._limits.head_seconds)

    def on_url(self, url: bytes) -> None:
        if self._is_resuming:
            return
        self.url += url
        if len(self.url) > MAX_TARGET_BYTES:
            raise target_too_long()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_resuming:
            return
        if self._phase is not Phase.HEAD:
            # Trailers are not fields of the head, which has been acted upon already.
            self._trailers += 1
            if self._trailers > MAX_HEADER_LINES:
                raise too_many_lines()
            return
        name = name.lower()
        self.headers.append((name, value))
        if name in _SPECIAL_HEADERS:
            self._note(name, value)
        if len(self.headers) > MAX_HEADER_LINES:
            raise too_many_lines()

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts.append(value)
        elif name == b"transfer-encoding":
            self._encodings.append(value)
            self._framing = b"Transfer-Encoding: chunked"
        elif name == b"content-length":
            # What is too large is refused by the application, in the order of the contract, and is not read.
            size = int(value)
            self._must_close |= size > self._limits.body_bytes
            self._framing = b"Content-Length: %d" % size if size else b""
        elif value.strip().lower() == b"100-continue":
            # Whether the body comes after a refusal is the client's choice: nothing can be read after it.
            self.expect_100_continue = self._must_close = True

    def on_headers_complete(self) -> None:
        if self._is_resuming:
            return
        version = self.parser.get_http_version()
        method = self._method or self.parser.get_method()
        self._check_head(version, method)
        super().on_headers_complete()
        self.scope["method"], self._method = method.decode("ascii"), None
        if self._must_close:
            self.cycle.keep_alive = False
        self._phase = Phase.BODY
        self._body_bytes, self._wire_bytes = 0, self._not_yet()
        self._wait(self._limits.body_seconds)

    def _check_head(self, version: str, method: bytes) -> None:
        check_version(version)
        check_host(version, self._hosts)
        if self._encodings:
            check_transfer_encoding(version, self._encodings)
        # Counted exactly where it may be too large, as it seldom is.
        may_be_large = self._head_bytes + 2 * self._fed_bytes > MAX_HEAD_BYTES
        if may_be_large and head_size(method, self.url, self.headers) > MAX_HEAD_BYTES:
            raise head_too_large()
        if not self.url.startswith(b"/"):
            self.url = origin_target(method, self.url)
        if len(self.pipeline) >= MAX_PIPELINED:
            raise bad_request(f"More than {MAX_PIPELINED} requests wait for an answer.", limit=MAX_PIPELINED)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            if self.cycle.response_complete:
                raise Problem(Code.PAYLOAD_TOO_LARGE, "The body is too large.")
            self.cycle.keep_alive = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._framing and self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._phase = Phase.REQUEST
        if self.cycle.response_complete:
            self._wait(self._limits.keep_alive_seconds)
        else:
            self._deadline = NEVER

    # --- what is answered ---

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

    def pause_writing(self) -> None:
        super().pause_writing()
        self._begin_stall()
        self._connections.stall(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._connections.flow(self)
        if self._is_ending:
            self._wait(self._limits.stall_seconds)
        elif self._phase is Phase.REQUEST and self._deadline < NEVER:
            self._wait(self._limits.keep_alive_seconds)

    def _begin_stall(self) -> None:
        limits, connections = self._limits, self._connections
        self._stall_mark = self.unsent_bytes
        seconds = limits.stopping_seconds if connections.is_stopping else limits.stall_seconds
        self._stall_until = connections.now + seconds

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

    # --- limits of time and number; called by `Connections` ---

    @property
    def waiting_since(self) -> float:
        cycle = self._unanswered()
        is_answering = cycle is not None and not cycle.more_body
        return NEVER if is_answering or self.pipeline else self._since

    @property
    def unsent_bytes(self) -> int:
        return self._raw.get_write_buffer_size()

    def check(self, now: float) -> None:
        if self.flow.write_paused:
            if now >= self._stall_until:
                self._check_progress()
        elif now >= self._deadline:
            self._expire()

    def make_room(self) -> None:
        if self._phase in (Phase.HEAD, Phase.BODY):
            self._refuse(_no_room(), "no room")
        else:
            ended.labels("no room").inc()
        self._raw.close()
        if self.unsent_bytes:
            self._raw.abort()

    def abort_unread(self, reason: str) -> None:
        ended.labels(reason).inc()
        self._raw.abort()

    def _check_progress(self) -> None:
        limits = self._limits
        seconds = limits.stopping_seconds if self._connections.is_stopping else limits.stall_seconds
        if self._stall_mark - self.unsent_bytes < seconds * MIN_ANSWER_BYTES_PER_SECOND:
            self.abort_unread("unread answer")
        else:
            self._begin_stall()

    def _expire(self) -> None:
        limits = self._limits
        if self._phase is Phase.NOTHING:
            self._raw.abort()
        elif self.flow.read_paused:
            self._wait(limits.body_seconds)  # it is us who do not read
        elif self._phase is Phase.REQUEST:
            self._end()
        elif self._phase is Phase.HEAD:
            self._refuse(_too_slow("head", limits.head_seconds), "head timeout")
        else:
            self._refuse(_too_slow("body", limits.body_seconds), "body timeout")

    def _wait(self, seconds: float) -> None:
        self._since = self._connections.now
        self._deadline = self._since + seconds


def _too_slow(part: str, seconds: float) -> Problem:
    return bad_request(f"The request's {part} did not arrive within {seconds:g} seconds.", limit_seconds=seconds)


def _no_room() -> Problem:
    return Problem(Code.UNAVAILABLE, "The service has too many connections.", retry_after=1)
