"""HEAD is GET without a body on every path of every gateway; other methods get 405 with `Allow`."""

import importlib
import re
from collections.abc import Iterable

import httpx
import pytest
from local_stack.services import SERVICES
from starlette.routing import Route
from support.gateway.application import serve
from support.postgres.databases import Databases

ID = "01920000-0000-7000-8000-000000000000"
PARAMETER = re.compile(r"\{\w+(:\w+)?\}")
EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]


@pytest.mark.parametrize("name", SERVICES)
async def test_head_responds_like_get_and_every_405_lists_the_allowed_methods(databases: Databases, name: str) -> None:
    database = databases.create(name)
    async with serve(importlib.import_module(f"{name}.app").SERVICE, database) as gateway:
        allowed = _allowed_methods(gateway.app.routes)
        assert {
            "/docs",
            "/static-offline-docs/swagger-ui.css",
            "/openapi.json",
            "/livez",
            "/api/v1/ops/jobs",
        } < allowed.keys()
        transport = httpx.ASGITransport(gateway.app, raise_app_exceptions=False)
        headers = {"X-API-Key": "ops.the-secret-of-a-test"}
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
            for path, methods in allowed.items():
                if "GET" in methods:
                    await _check_head(client, path)
                await _check_405(client, path, methods)
    databases.drop(database)


def _allowed_methods(routes: Iterable[object]) -> dict[str, set[str]]:
    allowed: dict[str, set[str]] = {}
    for route in routes:
        if isinstance(route, Route):
            allowed.setdefault(PARAMETER.sub(ID, route.path), set()).update(route.methods or ())
    return {path: methods | {"HEAD"} if "GET" in methods else methods for path, methods in allowed.items()}


async def _check_head(client: httpx.AsyncClient, path: str) -> None:
    get, head = await client.get(path), await client.head(path)
    assert head.status_code == get.status_code, path
    assert head.content == b"", path
    assert head.headers["Content-Type"] == get.headers["Content-Type"], path
    is_stream = path.endswith("/export")
    if path not in ("/metrics", "/api/v1/metrics") and not is_stream:  # they count the requests in between
        assert head.headers["Content-Length"] == get.headers["Content-Length"], path


async def _check_405(client: httpx.AsyncClient, path: str, methods: set[str]) -> None:
    for method in set(EVERY_METHOD) - methods:
        answer = await client.request(method, path)
        assert answer.status_code == 405, (method, path, answer.text)
        assert answer.headers["Allow"] == ", ".join(sorted(methods)), (method, path)
        assert answer.headers["X-Request-Id"]
        assert method == "HEAD" or answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
