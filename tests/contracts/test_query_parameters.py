"""Every route of every service rejects an unknown query parameter by its name."""

import re
from importlib import import_module
from typing import Any
from uuid import uuid4

import httpx
import pytest
from common.service import Service
from fastapi import FastAPI
from local_stack.services import SERVICES
from starlette.routing import Mount, Route
from support.gateway.application import serve
from support.postgres.databases import MakeDatabase


def every_route(app: FastAPI) -> list[tuple[str, str]]:
    routes = []
    for route in app.routes:
        if isinstance(route, Route):
            path = re.sub(r"\{position\}", "1", route.path)
            path = re.sub(r"\{\w+\}", lambda _: str(uuid4()), path)
            routes += [(method, path) for method in sorted(route.methods or ())]
        elif isinstance(route, Mount):
            routes.append(("GET", f"{route.path}/swagger-ui.css"))
        else:
            raise TypeError(route)
    return routes


@pytest.mark.parametrize("name", SERVICES)
async def test_no_route_of_a_service_ignores_a_query_parameter(name: str, make_database: MakeDatabase) -> None:
    service: Service[Any] = import_module(f"{name}.app").SERVICE
    async with serve(service, make_database(name)) as gateway:
        routes = every_route(gateway.app)
        assert len(routes) >= 20
        transport = httpx.ASGITransport(gateway.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            for method, path in routes:
                headers = {"X-API-Key": "ops.the-secret-of-a-test"}
                response = await client.request(method, f"{path}?custmer_id=7", headers=headers)
                assert response.status_code == 422, (method, path, response.text)
                if method != "HEAD":
                    errors = response.json()["error"]["details"]["errors"]
                    assert "custmer_id" in [each["field"] for each in errors], (method, path, response.text)
