"""The bodies of requests, each read whole before its request takes a connection to a service (ADR 35)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from common.errors import Code, Problem
from common.telemetry.rate_limited_log import RateLimitedLog

# A body up to this size is never dropped: 2,000 connections (HTTP_MAX_CONNECTIONS) have 32 MiB of them.
SMALL_BYTES = 16 * 1024
# Of all larger ones together.
HELD_BYTES = 64 * 1024 * 1024
_SENT_AT_ONCE_BYTES = 64 * 1024

_log = RateLimitedLog(structlog.get_logger(__name__))


class ClientGone(Exception):
    """The client closed the connection before it sent its whole request."""


class RequestBody:
    """What the origin holds of one body."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.is_dropped = False

    @property
    def counted_bytes(self) -> int:
        return len(self.content) if len(self.content) > SMALL_BYTES else 0

    async def parts(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), _SENT_AT_ONCE_BYTES):
            yield bytes(self.content[start : start + _SENT_AT_ONCE_BYTES])


class RequestBodies:
    """A body has at most `body_bytes`, as in the services. All large ones share `held_bytes`: beyond it, those that
    have been arriving longest are dropped, so that clients which never finish theirs cannot use up the memory."""

    def __init__(self, body_bytes: int, held_bytes: int = HELD_BYTES) -> None:
        self._body_bytes = body_bytes
        self._limit = max(held_bytes, body_bytes)
        self._held_bytes = 0
        # Large ones that are not complete; a dict for its order, the longest waiting first.
        self._arriving: dict[RequestBody, None] = {}

    @contextmanager
    def hold(self) -> Iterator[RequestBody]:
        """A body that is forgotten at the end."""
        body = RequestBody()
        try:
            yield body
        finally:
            self._forget(body)

    async def read(self, body: RequestBody, headers: Any, receive: Any) -> None:
        """Raises `ClientGone`, and `Problem` PAYLOAD_TOO_LARGE, or UNAVAILABLE for a body that was dropped."""
        if any(name == b"content-length" and int(value) > self._body_bytes for name, value in headers):
            raise self._too_large()
        has_more = True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._add(body, message.get("body", b""))
            has_more = message.get("more_body", False)
        self._arriving.pop(body, None)

    def _add(self, body: RequestBody, part: bytes) -> None:
        if len(body.content) + len(part) > self._body_bytes:
            raise self._too_large()
        if not body.is_dropped:
            self._held_bytes -= body.counted_bytes
            body.content += part
            self._held_bytes += body.counted_bytes
            if body.counted_bytes:
                self._arriving.setdefault(body)
            self._drop_beyond_limit()
        # A body that was dropped while its client sent nothing: only now is there somebody to answer.
        if body.is_dropped:
            raise Problem.unavailable("Too many large bodies arrive at once; please try again.", outcome="none")

    def _drop_beyond_limit(self) -> None:
        while self._held_bytes > self._limit and self._arriving:
            longest = next(iter(self._arriving))
            self._forget(longest)
            longest.is_dropped = True
            _log.warning("a body was dropped: large bodies of requests use all the memory they may have")

    def _forget(self, body: RequestBody) -> None:
        self._held_bytes -= body.counted_bytes
        self._arriving.pop(body, None)
        body.content.clear()

    def _too_large(self) -> Problem:
        limit = self._body_bytes
        return Problem(Code.PAYLOAD_TOO_LARGE, f"The body has more than {limit} bytes.", {"limit_bytes": limit})
