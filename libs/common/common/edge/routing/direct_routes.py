"""ASGI application that sends most requests straight to their route, past the layers of the framework (ADR 0015)."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from common.edge.observation.request_observer import RequestObserver
from common.edge.observation.response_times import ResponseTimes
from common.edge.problems.problem_responses import REFUSALS, on_refusal
from common.edge.routing.guarded_route import GuardedRoute


class DirectRoutes:
    """Calls the first of `routes` that matches the request if it is a direct one; `framework` has all other requests.

    Exceptions of `REFUSALS` that a direct route raises are answered here.
    """

    def __init__(self, routes: Iterable[GuardedRoute], framework: ASGIApp, response_times: ResponseTimes) -> None:
        self._routes = tuple(routes)
        self._framework = framework
        self._call_route = RequestObserver(_call_route, response_times)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route in self._routes:
                match, child_scope = route.matches(scope)
                if match is not Match.FULL:
                    continue
                if not route.is_direct:
                    break
                scope.update(child_scope, route=route)
                await self._call_route(scope, receive, send)
                return
        await self._framework(scope, receive, send)


async def _call_route(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await scope["route"].app(scope, receive, send)
    except REFUSALS as refusal:
        response = await on_refusal(Request(scope, receive, send), refusal)
        await response(scope, receive, send)
