"""An ASGI application of pages that need no web framework: for `GET` and `HEAD`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import structlog

from common.edge.problems.problem_details import encode_problem, instance_of, problem_headers, problem_media_type
from common.errors import Code, Problem
from common.telemetry.trace_context import incoming_traceparent, new_traceparent, trace_headers

_encode = msgspec.json.encode

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


# Called with the ASGI scope of the request. A `Problem` that it raises is the answer.
PageFunction = Callable[[Any], Awaitable[Page]]


def json_page(status: int, document: object) -> Page:
    """Every 503 says when to try again."""
    return Page(status, _encode(document), headers={"Retry-After": "1"} if status == 503 else {})


class PageApplication:
    """`otherwise` is the answer to paths that are not in `pages`.

    A page has no query parameters but those in `parameters`: for a path, each query string that it takes.
    """

    def __init__(
        self,
        pages: Mapping[str, PageFunction],
        otherwise: Problem,
        parameters: Mapping[str, frozenset[bytes]] = MappingProxyType({}),
    ) -> None:
        self._pages = pages
        self._otherwise = otherwise
        self._parameters = parameters

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await _send_page(await self._page(scope), scope, send)

    async def _page(self, scope: Any) -> Page:
        page = self._pages.get(scope["path"])
        if page is None:
            return _refusal(self._otherwise, scope)
        if scope["method"] not in ("GET", "HEAD"):
            return _refusal(Problem(Code.METHOD_NOT_ALLOWED, "Only GET and HEAD are possible here."), scope)
        query = scope["query_string"]
        if query not in self._parameters.get(scope["path"], ()) and (
            parameters := parse_qsl(query, keep_blank_values=True)
        ):
            name = parameters[0][0].decode(errors="replace")
            return _refusal(Problem.invalid(name, "is not a query parameter of this page"), scope)
        try:
            return await page(scope)
        except Problem as problem:
            return _refusal(problem, scope)
        except Exception as error:
            _log.error("request failed", exc_info=error, path=scope["path"])
            return _refusal(Problem(Code.INTERNAL_ERROR, "Something went wrong on our side."), scope)


async def send_refusal(problem: Problem, scope: Any, send: Any) -> None:
    """Answer a request that no page answers."""
    await _send_page(_refusal(problem, scope), scope, send)


def _refusal(problem: Problem, scope: Any) -> Page:
    headers = dict(problem_headers(problem))
    if problem.code is Code.METHOD_NOT_ALLOWED:
        headers["Allow"] = "GET, HEAD"
    body = encode_problem(problem, instance_of(scope))
    return Page(problem.code.status, body, problem_media_type(scope["headers"]), headers)


async def _send_page(page: Page, scope: Any, send: Any) -> None:
    headers = [
        (b"content-type", page.media_type.encode()),
        (b"content-length", str(len(page.body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *((name.encode(), value.encode()) for name, value in page.headers.items()),
        *trace_headers(new_traceparent(incoming_traceparent(scope["headers"]))),
    ]
    await send({"type": "http.response.start", "status": page.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else page.body})
