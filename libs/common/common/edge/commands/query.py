"""Answers a request with the result of a query."""

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from common.database.statements import Connection
from common.paging import Page, Paging, list_document
from common.service import Runtime

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

encode_json = msgspec.json.Encoder(decimal_format="number").encode


def unchanged(result: object) -> object:
    """For results that are JSON as they are."""
    return result


async def read(
    request: Request,
    query: Callable[[Connection, *Arguments], Awaitable[Result]],
    *arguments: *Arguments,
    render: Callable[[Result], object] = unchanged,
) -> Response:
    """Call `query` with a connection and the arguments, outside any transaction.

    A `Problem` that it raises, such as NOT_FOUND, is the answer.
    """
    async with Runtime.of(request).reading() as connection:
        result = await query(connection, *arguments)
    return _json_response(render(result))


async def read_page(
    request: Request,
    query: Callable[[Connection, *Arguments, Paging], Awaitable[Page[Result]]],
    *arguments: *Arguments,
    paging: Paging,
    render: Callable[[Result], object] = unchanged,
) -> Response:
    """As `read`, for a list: `render` is called for each row."""
    async with Runtime.of(request).reading() as connection:
        page = await query(connection, *arguments, paging)
    return _json_response(list_document(page, paging, render))


def _json_response(document: object) -> Response:
    return Response(encode_json(document), media_type="application/json")
