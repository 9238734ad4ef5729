"""The undocumented parts of Starlette still behave as `common.internals.starlette` expects."""

from importlib.metadata import version

import httpx
from common.internals.starlette import (
    CHECKED_STARLETTE,
    allow_head,
    allowed_methods,
    replace_middleware_stack,
    store_body,
    store_json,
    stored_json,
    wrap_route,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


class Closed:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("closed")(scope, receive, send)


async def request_app(app: ASGIApp, path: str, method: str = "GET") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kiln") as client:
        return await client.request(method, path)


def test_the_installed_version_is_the_checked_one() -> None:
    """For a new version: review the changes of `requests.py`, `routing.py` and `applications.py`."""
    assert version("starlette") == CHECKED_STARLETTE


async def test_a_stored_body_and_its_json_are_returned_without_reading() -> None:
    request = Request({"type": "http", "method": "POST", "headers": []})
    assert stored_json(request, "none") == "none"
    store_body(request, b'{"price": 1.10}')
    store_json(request, {"price": "1.10"})
    assert await request.body() == b'{"price": 1.10}'
    assert await request.json() == stored_json(request, None) == {"price": "1.10"}


async def test_a_replaced_middleware_stack_gets_every_request() -> None:
    app = Starlette(routes=[Route("/", hello)])
    replace_middleware_stack(app, Closed(app.build_middleware_stack()))
    assert (await request_app(app, "/")).text == "closed"


async def test_the_allowed_methods_are_those_of_all_routes_of_the_path() -> None:
    routes = [
        Route("/{id}", hello, methods=["GET"]),
        Route("/{id}", hello, methods=["PATCH"]),
        Mount("/static", routes=[]),
    ]
    assert allowed_methods(routes, {"type": "http", "method": "PUT", "path": "/1"}) == ["GET", "HEAD", "PATCH"]
    assert allowed_methods(routes, {"type": "http", "method": "PUT", "path": "/1/2"}) == []


async def test_a_route_can_be_given_head_and_another_application() -> None:
    route = Route("/", hello, methods=["GET"])
    assert route.methods is not None
    route.methods.discard("HEAD")
    app = Starlette(routes=[route])
    assert (await request_app(app, "/", "HEAD")).status_code == 405
    allow_head(route)
    assert (await request_app(app, "/", "HEAD")).status_code == 200
    wrap_route(route, Closed)
    assert (await request_app(app, "/")).text == "closed"
