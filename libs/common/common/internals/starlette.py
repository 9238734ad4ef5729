"""Internals of Starlette: the body of a request, the stack of middleware, and the methods of a path."""

from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Scope

CHECKED_STARLETTE = "1.10.0"


def store_body(request: Request, body: bytes) -> None:
    """`Request.body()` returns it from now on, and does not read from the client again."""
    request._body = body


def store_json(request: Request, document: Any) -> None:
    """`Request.json()`, which FastAPI calls, returns it from now on: ours has numbers as decimals."""
    request._json = document


def stored_json(request: Request, default: Any) -> Any:
    return getattr(request, "_json", default)


def replace_middleware_stack(app: Starlette, stack: ASGIApp) -> None:
    """Starlette builds the stack at the first request if there is none. `stack` may call the one that it would build,
    which is `app.build_middleware_stack()`."""
    app.middleware_stack = stack


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """The methods of all routes that match the path. Starlette's `Allow` has only those of the first one."""
    matching = [each.methods for each in routes if isinstance(each, Route) and each.matches(scope)[0] is not Match.NONE]
    methods = set().union(*(each for each in matching if each))
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def allow_head(route: BaseRoute) -> None:
    """Starlette answers HEAD for its own routes; FastAPI adds routes with GET alone."""
    if isinstance(route, Route) and route.methods is not None and "GET" in route.methods:
        route.methods.add("HEAD")


def wrap_route(route: BaseRoute, wrapper: type[Any]) -> None:
    """Put an ASGI application around that of a route which is added already."""
    if isinstance(route, Route | Mount):
        route.app = wrapper(route.app)
