"""The undocumented parts of FastAPI still behave as `common.internals.fastapi` expects."""

from collections.abc import AsyncIterator
from decimal import Decimal
from importlib.metadata import version
from typing import Annotated, Any

import pytest
from common.internals.fastapi import (
    CHECKED_FASTAPI,
    CHECKED_FASTAPI_OFFLINE,
    NO_BODY,
    Parameters,
    body_value,
    new_application,
    path_value,
    query_values,
    static_folder,
)
from fastapi import BackgroundTasks, Cookie, Depends, Header, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.datastructures import QueryParams


class Vase(BaseModel):
    price: Decimal


def colour(hue: Annotated[str, Query(alias="colour")] = "blue") -> str:
    return hue


async def endpoint(
    request: Request, vase_id: int, vase: Vase, glaze: Annotated[str, Depends(colour)], coats: int = 1
) -> None: ...


def parameters(function: Any = endpoint) -> Parameters:
    return Parameters.of_route(APIRoute("/vases/{vase_id}", function, methods=["POST"]))


def test_the_installed_versions_are_the_checked_ones() -> None:
    """For a new version: review the changes of `dependencies/utils.py` and `routing.py`, then update the constant."""
    assert (version("fastapi"), version("fastapi-offline")) == (CHECKED_FASTAPI, CHECKED_FASTAPI_OFFLINE)


def test_parameters_are_grouped_by_their_source() -> None:
    route_parameters = parameters()
    assert (route_parameters.function, route_parameters.name, route_parameters.request_name) == (
        endpoint,
        None,
        "request",
    )
    assert [
        [field.name for field in fields]
        for fields in (route_parameters.path, route_parameters.query, route_parameters.body)
    ] == [
        ["vase_id"],
        ["coats"],
        ["vase"],
    ]
    [dependency] = route_parameters.dependencies
    assert (dependency.function, dependency.name) == (colour, "glaze")
    assert route_parameters.query_names == {"coats", "colour"}
    assert route_parameters.body_type is Vase
    assert route_parameters.only_fastapi == dependency.only_fastapi == ()


async def _takes_header(accept: Annotated[str, Header()] = "") -> None: ...
async def _takes_cookie(kiln: Annotated[str, Cookie()] = "") -> None: ...
async def _takes_response(response: Response) -> None: ...
async def _takes_tasks(tasks: BackgroundTasks) -> None: ...
async def _yields() -> AsyncIterator[str]:
    yield ""


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (_takes_header, "a header"),
        (_takes_cookie, "a cookie"),
        (_takes_response, "the response"),
        (_takes_tasks, "background tasks"),
        (_yields, "a dependency with yield"),
    ],
)
def test_parameters_that_only_fastapi_can_supply_are_detected(function: Any, kind: str) -> None:
    assert parameters(function).only_fastapi == (kind,)


async def test_values_are_validated_and_errors_have_their_location() -> None:
    route_parameters = parameters()
    assert path_value(route_parameters.path[0], {"vase_id": "7"}) == (7, [])
    _, [error] = path_value(route_parameters.path[0], {"vase_id": "x"})
    assert error["loc"] == ("path", "vase_id")
    assert query_values(route_parameters.query, QueryParams("coats=3")) == ({"coats": 3}, [])
    assert query_values(route_parameters.query, QueryParams("")) == ({"coats": 1}, [])
    _, [error] = query_values(route_parameters.query, QueryParams("coats=x"))
    assert error["loc"] == ("query", "coats")


async def test_a_parsed_body_is_validated_unchanged() -> None:
    body = parameters().body
    values, problems = await body_value(body, {"price": Decimal("1.10")})
    assert (str(values["vase"].price), problems) == ("1.10", [])
    _, [error] = await body_value(body, {})
    assert error["loc"] == ("body", "price")
    _, [error] = await body_value(body, NO_BODY)
    assert (error["loc"], error["type"]) == (("body",), "missing")


def test_the_files_of_the_openapi_pages_are_in_one_folder() -> None:
    app = new_application("vases")
    [(path, folder)] = [mount for route in app.routes if (mount := static_folder(route)) is not None]
    assert path == "/static-offline-docs"
    assert (folder / "swagger-ui-bundle.js").is_file()
