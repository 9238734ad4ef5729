"""Answers a request with the result of a query."""

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

from starlette.requests import Request
from starlette.responses import Response

from common.database.statements import Connection
from common.database.transactions import reading
from common.edge.commands.json import json_response, unchanged
from common.edge.state import runtime_of
from common.paging import Page, Paging, list_document

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


async def read(
    request: Request,
    query: Callable[[Connection, *Arguments], Awaitable[Result]],
    *arguments: *Arguments,
    render: Callable[[Result], object] = unchanged,
) -> Response:
    """Call `query` with a connection and the arguments, outside any transaction.

    A `Problem` that it raises, such as NOT_FOUND, is the answer.
    """
    async with reading(runtime_of(request).pool) as connection:
        result = await query(connection, *arguments)
    return json_response(render(result))


async def read_page(
    request: Request,
    query: Callable[[Connection, *Arguments, Paging], Awaitable[Page[Result]]],
    *arguments: *Arguments,
    paging: Paging,
    render: Callable[[Result], object] = unchanged,
) -> Response:
    """As `read`, for a list: `render` is called for each row."""
    async with reading(runtime_of(request).pool) as connection:
        page = await query(connection, *arguments, paging)
    return json_response(list_document(page, paging, render))
