"""ASGI middleware around every request: trace, duration by route, log line, and a response when the code failed."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import structlog
from prometheus_client import Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.database.failures import Failure, failure_of, is_connection_failure
from common.edge.admission.running_requests import RunningRequest, RunningRequests
from common.edge.observation.request_spans import METHODS, describe_answer, request_work
from common.edge.observation.response_times import ResponseTimes
from common.edge.problems.problem_responses import problem_response
from common.errors import Code, Problem, excerpt
from common.telemetry.trace_context import trace_headers, trace_id
from common.telemetry.tracing import Work

DURATION = Histogram(
    "http_server_request_duration_seconds",
    "Time from the request's head to the answer's end.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10),
)
UNMATCHED = "(no route)"
CLIENT_GONE = 499

_log = structlog.get_logger(__name__)


class RequestObserver:
    """The outermost middleware: an exception of the application is logged and becomes a 500 or 503.

    It sets `scope["traceparent"]` and `scope["running"]`, and the route `scope["route_template"]` and
    `scope["caller"]`.
    """

    def __init__(self, app: ASGIApp, response_times: ResponseTimes, running_requests: RunningRequests) -> None:
        self._app = app
        self._running_requests = running_requests
        self._response_times = response_times
        self._series: dict[tuple[str, str, int], Callable[[float], None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with request_work(scope) as work:
            scope["traceparent"] = work.traceparent
            await self._answer(work, scope, receive, send)

    async def _answer(self, work: Work, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and answer its exceptions. A request whose time limit has expired was answered by
        `RunningRequests`: what the application sends later is discarded."""
        started = time.perf_counter()
        own_headers = trace_headers(scope["traceparent"])
        status = 0

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                message["headers"] = [*headers, *own_headers, *_privacy(headers), *scope.get("rate_headers", ())]
                self._running_requests.end(running)
            await send(message)

        async def send_of_application(message: Message) -> None:
            if not running.has_expired:  # otherwise it is answered already
                await send_observed(message)

        running = self._running_requests.begin(scope, receive, send_observed)
        try:
            await self._app(scope, receive, send_of_application)
        except ClientDisconnect:
            status = CLIENT_GONE
        except asyncio.CancelledError:
            if not running.has_expired or running.task is None:
                raise
            running.task.uncancel()
        except Exception as error:
            problem = _failure(error, scope, running)
            if running.has_expired:
                return
            if status != 0:
                raise  # a part of the response is sent: only the server can end the connection now
            await problem_response(Request(scope, receive), problem)(scope, receive, send_observed)
        finally:
            self._running_requests.end(running)
            self._observe(scope, status, time.perf_counter() - started)
            describe_answer(work, scope, status)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = scope["method"], scope.get("route_template", UNMATCHED)
        series = (method if method in METHODS else "other", route, status)
        observe = self._series.get(series)
        if observe is None:
            observe = self._series[series] = DURATION.labels(*map(str, series)).observe
        observe(seconds)
        caller = scope.get("caller")
        # The JSON metrics are about requests with an accepted API key only.
        # An export lasts as long as its client reads.
        if caller is not None and "is_stream" not in scope:
            self._response_times.add(seconds)
        _log.info(
            "request",
            method=excerpt(method, 20),
            route=route,
            path=excerpt(scope["path"]),
            status=status,
            milliseconds=round(seconds * 1000, 2),
            caller=caller.name if caller is not None else None,
            trace_id=trace_id(scope["traceparent"]),
        )


# Nearly every response has personal data: no cache may store it, and no browser may guess another type.
_NOT_SNIFFED = (b"x-content-type-options", b"nosniff")
_NOT_STORED = (b"cache-control", b"no-store")


def _privacy(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """A response with its own `Cache-Control`, such as a document or a file of `/docs`, keeps it."""
    yield _NOT_SNIFFED
    if not any(name == b"cache-control" for name, _ in headers):
        yield _NOT_STORED


def _failure(error: Exception, scope: Scope, running: RunningRequest) -> Problem:
    context: dict[str, Any] = {"path": excerpt(scope["path"]), "trace_id": trace_id(scope["traceparent"])}
    if is_connection_failure(error):
        _log.warning("dependency unavailable", reason=f"{type(error).__name__}: {error}", **context)
        return running.unavailable(_why_unavailable(error))
    _log.error("request failed", exc_info=error, **context)
    return Problem(Code.INTERNAL_ERROR, "Something went wrong on our side; the trace id finds it in our logs.")


def _why_unavailable(error: Exception) -> str:
    match failure_of(error):
        case Failure.CONTENDED:
            return "The database was too busy with other work on the same data"
        case Failure.UNAVAILABLE:
            return "The service cannot use its database now"
        case None:  # an OSError or TimeoutError of the database or of another dependency
            return "The service cannot reach a part that it needs"
