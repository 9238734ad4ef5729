"""A service behind the origin: its connections, and what its failures mean for the client."""

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpcore
import structlog
from common.errors import Code, Problem
from prometheus_client import Counter

Headers = Sequence[tuple[bytes, bytes]]

CONNECT_SECONDS = 2.0
# Of the next part of an answer. A service ends its own requests earlier.
READ_SECONDS = 120.0
WRITE_SECONDS = 30.0
POOL_SECONDS = 5.0
MAX_CONNECTIONS = 500
# Shorter than the services hold idle connections (75 s): a connection is never closed while a request is sent on it.
IDLE_SECONDS = 60.0

_NOT_SENT = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout)
_NOT_ANSWERED = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.RemoteProtocolError)

_unanswered = Counter(
    "origin_unanswered_requests", "Requests that a service behind the origin did not answer", ["target"]
)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


class Upstream:
    """Close it when it is not needed any more."""

    def __init__(self, name: str, url: str, source_address: str | None = None) -> None:
        self.name = name
        parts = urlsplit(url)
        self._scheme, self._host, self._port = parts.scheme, parts.hostname or "", parts.port
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS // 5,
            keepalive_expiry=IDLE_SECONDS,
            local_address=source_address,
        )

    async def open(
        self, method: str, target: bytes, headers: Headers, body: AsyncIterable[bytes] | None = None
    ) -> httpcore.Response:
        """The answer, which the caller closes. Raises `Problem` when there is none, and what `body` raises."""
        url = httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=target)
        timeout = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": WRITE_SECONDS, "pool": POOL_SECONDS}
        request = httpcore.Request(method, url, headers=headers, content=body, extensions={"timeout": timeout})
        try:
            return await self._send(request, can_repeat=method in ("GET", "HEAD") and body is None)
        except httpcore.LocalProtocolError as error:
            raise Problem(Code.BAD_REQUEST, "The request is not valid HTTP/1.1.", {"reason": str(error)}) from None
        except _NOT_SENT as error:
            raise self._failed(error, f"The service {self.name} cannot be reached.", outcome="none") from None
        except _NOT_ANSWERED as error:
            raise self._failed(
                error, f"The service {self.name} gave no answer; the request may have had an effect."
            ) from None

    async def get(self, target: bytes, headers: Headers) -> Answer:
        """Raises `Problem`."""
        response = await self.open("GET", target, headers)
        try:
            return Answer(response.status, response.headers, await response.aread())
        except _NOT_ANSWERED as error:
            raise self._failed(error, f"The service {self.name} gave no complete answer.") from None
        finally:
            await response.aclose()

    async def close(self) -> None:
        await self._pool.aclose()

    async def _send(self, request: httpcore.Request, *, can_repeat: bool) -> httpcore.Response:
        """A request that changes nothing is repeated once: a service that stops closes its idle connections."""
        try:
            return await self._pool.handle_async_request(request)
        except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
            if not can_repeat or isinstance(error, httpcore.ConnectError):
                raise
            return await self._pool.handle_async_request(request)

    def _failed(self, error: Exception, message: str, outcome: str = "unknown") -> Problem:
        """`outcome` says whether the request may have had an effect (ADR 32)."""
        _unanswered.labels(self.name).inc()
        _log.warning("no answer", target=self.name, reason=f"{type(error).__name__}: {error}")
        return Problem.unavailable(message, outcome=outcome)
