"""The pages `/livez`, `/readyz` and `/metrics`, as an ASGI application without a web framework: for every role."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from common.edge.problems.problem_details import encode_problem, instance_of, problem_headers, problem_media_type
from common.errors import Code, Problem
from common.health import Health
from common.telemetry.trace_context import incoming_traceparent, new_traceparent, trace_headers

_encode = msgspec.json.encode

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_page(status: int, document: object) -> Page:
    return Page(status, _encode(document))


def _refusal(problem: Problem, scope: Any) -> Page:
    headers = dict(problem_headers(problem))
    if problem.code is Code.METHOD_NOT_ALLOWED:
        headers["Allow"] = "GET, HEAD"
    body = encode_problem(problem, instance_of(scope))
    return Page(problem.code.status, body, problem_media_type(scope["headers"]), headers)


class HealthPages:
    """The ASGI application of a role without a gateway; a gateway makes a route of each of `pages`.

    `otherwise` is the answer to all other paths.
    """

    def __init__(self, health: Health, otherwise: Problem | None = None) -> None:
        self._health = health
        self._otherwise = otherwise or Problem(Code.NOT_FOUND, "There is nothing here.")
        self.pages: dict[str, Callable[[], Awaitable[Page]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        page = self.pages.get(scope["path"])
        if page is None:
            answer = _refusal(self._otherwise, scope)
        elif scope["method"] not in ("GET", "HEAD"):
            answer = _refusal(Problem(Code.METHOD_NOT_ALLOWED, "Only GET and HEAD are possible here."), scope)
        elif parameters := parse_qsl(scope["query_string"], keep_blank_values=True):
            name = parameters[0][0].decode(errors="replace")
            answer = _refusal(Problem.invalid(name, "is not a query parameter of this page"), scope)
        else:
            answer = await self._call(page, scope)
        headers = [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *((name.encode(), value.encode()) for name, value in answer.headers.items()),
            *trace_headers(new_traceparent(incoming_traceparent(scope["headers"]))),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _call(self, page: Callable[[], Awaitable[Page]], scope: Any) -> Page:
        try:
            return await page()
        except Exception as error:
            _log.error("request failed", exc_info=error, path=scope["path"])
            return _refusal(Problem(Code.INTERNAL_ERROR, "Something went wrong on our side."), scope)

    async def _livez(self) -> Page:
        return json_page(200, {"status": "alive"})

    async def _readyz(self) -> Page:
        errors = await self._health.why_not_ready()
        if errors:
            return json_page(503, {"status": "not ready", "errors": errors})
        return json_page(200, {"status": "ready"})

    async def _metrics(self) -> Page:
        return Page(200, generate_latest(), CONTENT_TYPE_LATEST)
