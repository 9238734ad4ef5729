"""The way of most requests: straight to their route, past the layers of the framework (ADR 0015)."""

from collections.abc import Iterable

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

from common.edge.observation.http_metrics import RequestObserver
from common.edge.observation.response_times import ResponseTimes
from common.edge.problems.problem_responses import on_http_exception, on_invalid_request, on_problem
from common.edge.routing.http import GuardedRoute
from common.errors import Problem

REFUSALS: dict[type[Exception], ExceptionHandler] = {
    Problem: on_problem,
    HTTPException: on_http_exception,
    RequestValidationError: on_invalid_request,
}


class DirectRoutes:
    """ASGI application: calls the first of `routes` that takes the request if it is a direct one.

    What such a route refuses is answered here; all other requests go to `framework`.
    """

    def __init__(self, routes: Iterable[GuardedRoute], framework: ASGIApp, response_times: ResponseTimes) -> None:
        self._routes = tuple(routes)
        self._framework = framework
        self._call_route = RequestObserver(_call_route, response_times)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route in self._routes:
                match, found = route.matches(scope)
                if match is not Match.FULL:
                    continue
                if not route.is_direct:
                    break
                scope.update(found, route=route)
                await self._call_route(scope, receive, send)
                return
        await self._framework(scope, receive, send)


async def _call_route(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await scope["route"].app(scope, receive, send)
    except tuple(REFUSALS) as refusal:
        request = Request(scope, receive, send)
        answer = next(handler for kind, handler in REFUSALS.items() if isinstance(refusal, kind))
        response = await answer(request, refusal)  # type: ignore[misc, arg-type]  # ours are for HTTP, and coroutines
        await response(scope, receive, send)
