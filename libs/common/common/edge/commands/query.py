"""Answers a request with the result of a query."""

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from common.aggregates.precondition import Precondition, entity_tag
from common.database.statements import Connection
from common.edge.requests.cursor import Cursors, next_link
from common.paging import Page, Paging, has_more, list_document
from common.service import Runtime

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

encode_json = msgspec.json.Encoder(decimal_format="number").encode


def unchanged(result: object) -> object:
    """For results that are JSON as they are."""
    return result


def version_of(result: object) -> int | None:
    """Of an aggregate whose `version` rises with every change that a client can see; None for any other result."""
    version: int | None = getattr(result, "version", None)
    return version


async def read(
    request: Request,
    query: Callable[[Connection, *Arguments], Awaitable[Result]],
    *arguments: *Arguments,
    render: Callable[[Result], object] = unchanged,
) -> Response:
    """Call `query` with a connection and the arguments, outside any transaction.

    A `Problem` that it raises, such as NOT_FOUND, is the answer. A result with a `version` has it as its `ETag`, and
    the answer is 304 when the client has this version.
    """
    async with Runtime.of(request).reading() as connection:
        result = await query(connection, *arguments)
    version = version_of(result)
    if version is None:
        return json_response(render(result))
    precondition: Precondition = request.scope["precondition"]
    headers = {"ETag": entity_tag(version)}
    precondition.check_matching(version)
    if precondition.is_unchanged(version):
        return Response(status_code=304, headers=headers)
    return json_response(render(result), headers)


async def read_page(
    request: Request,
    query: Callable[[Connection, *Arguments, Paging], Awaitable[Page[Result]]],
    *arguments: *Arguments,
    paging: Paging,
    render: Callable[[Result], object] = unchanged,
) -> Response:
    """As `read`, for a list: `render` is called for each row. `Link` has the address of the next page."""
    async with Runtime.of(request).reading() as connection:
        page = await query(connection, *arguments, paging)
    cursor = Cursors(request).next_of(page, paging) if has_more(page, paging) else None
    headers = None if cursor is None else {"Link": next_link(request, cursor)}
    return json_response(list_document(page, paging, render, cursor), headers)


def json_response(document: object, headers: dict[str, str] | None = None) -> Response:
    return Response(encode_json(document), headers=headers, media_type="application/json")
