"""Routes that cannot be declared: without roles, or with an endpoint that cannot be called directly."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from common.edge.routing.router import Router
from fastapi import Cookie, Depends, Header, Response
from support.gateway.vase_service import Glaze


def test_a_route_without_a_permission_is_an_error_at_start() -> None:
    declare: Any = Router().route
    with pytest.raises(TypeError, match="roles"):
        declare("GET", "/forgotten")


async def _kiln() -> AsyncIterator[str]:
    yield "hot"


async def _takes_a_header(accept: Annotated[str, Header()] = "") -> Response:
    return Response(accept)


async def _takes_a_cookie(kiln: Annotated[str, Cookie()] = "") -> str:
    return kiln


async def _takes_a_cookie_in_a_dependency(kiln: Annotated[str, Depends(_takes_a_cookie)]) -> Response:
    return Response(kiln)


async def _takes_a_yielding_dependency(kiln: Annotated[str, Depends(_kiln)]) -> Response:
    return Response(kiln)


async def _takes_two_bodies(first: Glaze, second: Glaze) -> Response:
    return Response(first.colour + second.colour)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        (_takes_a_header, "takes a header"),
        (_takes_a_cookie_in_a_dependency, "takes a cookie"),
        (_takes_a_yielding_dependency, "takes a dependency with yield"),
        (_takes_two_bodies, "takes more than one body"),
    ],
)
def test_an_endpoint_that_only_fastapi_can_call_is_an_error_at_start(endpoint: Any, reason: str) -> None:
    router = Router()
    router.route("POST", "/vases", roles=[])(endpoint)
    with pytest.raises(TypeError, match=f"{endpoint.__name__} cannot be called directly: .*{reason}"):
        router.build()
