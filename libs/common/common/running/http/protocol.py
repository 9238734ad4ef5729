"""uvicorn's HTTP protocol with limits to what a client may send (ADR 17)."""

from typing import Any

import httptools

from common.errors import Code, Problem
from common.running.http import head, limits
from common.running.http.connections import NEVER
from common.running.http.ending import Phase
from common.running.http.limits import MAX_HEAD_BYTES, MAX_HEADER_LINES, MAX_PIPELINED, MAX_TARGET_BYTES
from common.running.http.timing import TimedProtocol

_NO_HOST = b"\n"  # no header has this value
_SPECIAL_HEADERS = frozenset({b"host", b"transfer-encoding", b"content-length", b"expect"})


class BoundedProtocol(TimedProtocol):
    """One connection of a client."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Counts of bytes of the request that is being read.
        self._fed_bytes = self._head_bytes = self._wire_bytes = self._body_bytes = self._discarded_bytes = 0
        self._host: bytes | None = None
        self._checked_host = _NO_HOST  # the last one, as most requests of a connection have the same
        self._must_close = False
        self._trailers = 0
        # The header that says where the body ends; empty for a request without a body.
        self._framing = b""
        # While the parser is fed a made-up head, so that it continues with the body after an ignored upgrade.
        self._is_resuming = False

    def data_received(self, data: bytes) -> None:
        while data:
            if self._phase is Phase.NOTHING:
                self._discard(len(data))
                return
            data = self._feed(data)

    def _feed(self, data: bytes) -> bytes:
        """Parse the data, and return the rest that is for another parser."""
        self._fed_bytes, begun_before, was_new = len(data), self._begun, self._phase is Phase.REQUEST
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade()
            return data[upgrade.args[0] :]
        except httptools.HttpParserInvalidMethodError:
            # The parser has a list of methods. The application answers others with 405 and `Allow`.
            line = data.lstrip(b"\r\n")
            method = head.method_of(line) if was_new and self._begun == begun_before + 1 else None
            if method is not None:
                self._method, self._phase = method, Phase.REQUEST
                self.renew_parser()
                return b"GET" + line[len(method) :]
            self._refuse(head.bad_request("The request begins with no method that is known here."), "malformed")
        except httptools.HttpParserError as error:
            cause = error.__context__
            malformed = head.bad_request("The request is not valid HTTP/1.1.", reason=str(error))
            self._refuse(cause if isinstance(cause, Problem) else malformed, "malformed")
        else:
            self._count(len(data))
        return b""

    def _count(self, size: int) -> None:
        """Count the bytes of an incomplete head, or of an incomplete body with its framing. The data in which it began
        is not counted, as its place in the data is unknown (see `_not_yet`)."""
        if self._phase is Phase.HEAD:
            self._head_bytes += size
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(head.head_too_large(), "head too large")
        elif self._phase is Phase.BODY:
            self._wire_bytes += size
            if self._wire_bytes > limits.MAX_FRAMING_BYTES + limits.MAX_FRAMING_FACTOR * self._body_bytes:
                self._refuse(head.bad_request("The body's chunks are mostly framing."), "malformed")

    def _not_yet(self) -> int:
        """The start of a count that is 0 after the data which is parsed now."""
        return -self._fed_bytes

    def _discard(self, size: int) -> None:
        at_once = limits.DISCARDED_AT_ONCE_BYTES
        must_pause = self._discarded_bytes // at_once != (self._discarded_bytes + size) // at_once
        self._discarded_bytes += size
        if self._discarded_bytes > limits.MAX_DISCARDED_BYTES:
            self._raw.abort()
        elif must_pause:
            self.flow.pause_reading()
            self.loop.call_later(limits.DISCARDING_PAUSE_SECONDS, self._continue_discarding)

    def _continue_discarding(self) -> None:
        if not self._raw.is_closing():
            self.flow.resume_reading()

    def _ignore_upgrade(self) -> None:
        """An upgrade may be ignored (RFC 9110, 7.8). The parser treats the request as one without a body and accepts
        nothing more: another parser continues with the body."""
        self.renew_parser()
        if self._phase is Phase.BODY:
            self._is_resuming = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n" + self._framing + b"\r\n\r\n")
            # While the parser is fed a made-up head, so that it continues with the body after an ignored upgrade.
        self._is_resuming = False

    # Callbacks of the parser. A `Problem` that one of them raises is the answer.

    def on_message_begin(self) -> None:
        if self._is_resuming:
            return
        super().on_message_begin()
        self._phase = Phase.HEAD
        self._begun += 1
        self._head_bytes = self._not_yet()
        self._host, self._must_close, self._trailers, self._framing = None, False, 0, b""
        self._wait(self._limits.head_seconds)

    def on_url(self, url: bytes) -> None:
        if self._is_resuming:
            return
        self.url += url
        if len(self.url) > MAX_TARGET_BYTES:
            raise head.bad_request(f"The address has more than {MAX_TARGET_BYTES} bytes.", limit_bytes=MAX_TARGET_BYTES)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_resuming:
            return
        if self._phase is not Phase.HEAD:
            # Trailers are dropped: the application already has the head.
            self._trailers += 1
            if self._trailers > MAX_HEADER_LINES:
                raise _too_many_lines()
            return
        name = name.lower()
        self.headers.append((name, value))
        if name in _SPECIAL_HEADERS:
            self._check_special_header(name, value)
        if len(self.headers) > MAX_HEADER_LINES:
            raise _too_many_lines()

    def _check_special_header(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            if self._host is not None:
                raise head.bad_request("The header Host must be given once.")
            self._host = value
        elif name == b"transfer-encoding":
            if self._framing:
                raise head.bad_request("The header Transfer-Encoding must be given once.")
            head.check_transfer_encoding(self.parser.get_http_version(), value)
            self._framing = b"Transfer-Encoding: chunked"
        elif name == b"content-length":
            # The application refuses a body that is too large, in the order of the contract; it is not read.
            size = int(value)
            self._must_close |= size > self._limits.body_bytes
            self._framing = b"Content-Length: %d" % size if size else b""
        elif value.strip().lower() == b"100-continue":
            # After a refusal the client may or may not send the body: no request can be read after it.
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
        if self._framing:
            self._body_bytes, self._wire_bytes = 0, self._not_yet()
            self._wait(self._limits.body_seconds)

    def _check_head(self, version: str, method: bytes) -> None:
        if version not in ("1.1", "1.0"):
            raise head.bad_request("The protocol must be HTTP/1.1 or HTTP/1.0.")
        if self._host != self._checked_host:
            head.check_host(version, self._host)
            self._checked_host = self._host or _NO_HOST
        # Counted exactly only when it may be too large. Of a head that came in several reads the first is not counted.
        came_in_parts = self._head_bytes >= 0
        may_be_large = came_in_parts or 2 * self._fed_bytes > MAX_HEAD_BYTES
        if may_be_large and head.head_size(method, self.url, self.headers) > MAX_HEAD_BYTES:
            raise head.head_too_large()
        if not self.url.startswith(b"/"):
            self.url = head.origin_target(method, self.url)
        if len(self.pipeline) >= MAX_PIPELINED:
            raise head.bad_request(f"More than {MAX_PIPELINED} requests wait for an answer.", limit=MAX_PIPELINED)

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


def _too_many_lines() -> Problem:
    return head.bad_request(f"The head has more than {MAX_HEADER_LINES} lines.", limit_lines=MAX_HEADER_LINES)
