"""Runs a command or a query for a request, and answers with its result as JSON."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Generic, TypeVar, TypeVarTuple
from uuid import UUID

import msgspec
from pydantic import WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from common.access.auth import Caller
from common.database.statements import Connection
from common.database.transactions import reading, transaction
from common.edge.commands.idempotency import Answer, KeyedRequest, answer_once
from common.edge.problems.problem_responses import problem_response
from common.edge.requests.headers import single_header
from common.edge.state import runtime_of
from common.errors import Problem
from common.paging import Page, Paging, list_document

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

# An amount of money in a response: a decimal in Python, a number in JSON, as the public contract has it.
JsonNumber = Annotated[Decimal, WithJsonSchema({"type": "number"})]

_encode = msgspec.json.Encoder(decimal_format="number").encode


def _unchanged(result: object) -> object:
    return result


async def perform(
    request: Request,
    command: Callable[[Connection, *Arguments], Awaitable[Result | Problem]],
    *arguments: *Arguments,
    render: Callable[[Result], object] = _unchanged,
    status: int = 200,
    new_id: Callable[[Result], UUID] | None = None,
    without_secret: Callable[[Result], Result] | None = None,
) -> Response:
    """Call `command` with a connection and the arguments, in one transaction; once per `Idempotency-Key`.

    A `Problem` that the command returns is the answer, and what the command wrote is committed. A `Problem` that it
    raises rolls the transaction back. `new_id` gives the id of the resource that the command created, for `Location`.
    `without_secret` gives the result as it may be stored, and answered again, under an `Idempotency-Key`.
    """
    runtime = runtime_of(request)
    execution = _Execution(command, arguments, request.scope["path"], render, status, new_id, without_secret)
    key = single_header(request.scope, b"idempotency-key")
    if key is None:
        async with transaction(runtime.pool) as connection:
            answer = await execution.run(connection)
    else:
        keyed = KeyedRequest.of(
            key.decode("latin-1"),
            caller=Caller.of(request).key_prefix,
            method=request.method,
            path=execution.path,
            body=await request.body(),
        )
        retention = timedelta(hours=runtime.settings.idempotency_retention_hours)
        answer = await answer_once(runtime.pool, keyed, execution.run, retention)
    if isinstance(answer, Problem):
        return problem_response(request, answer)
    return Response(answer.body, answer.status, answer.headers, "application/json")


async def read(
    request: Request,
    query: Callable[[Connection, *Arguments], Awaitable[Result]],
    *arguments: *Arguments,
    render: Callable[[Result], object] = _unchanged,
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
    render: Callable[[Result], object] = _unchanged,
) -> Response:
    """As `read`, for a list: `render` is called for each row."""
    async with reading(runtime_of(request).pool) as connection:
        page = await query(connection, *arguments, paging)
    return json_response(list_document(page, paging, render))


def json_response(document: object) -> Response:
    return Response(_encode(document), media_type="application/json")


@dataclass(slots=True)
class _Execution(Generic[Result, *Arguments]):
    """A command with its arguments, and how its result is answered."""

    command: Callable[[Connection, *Arguments], Awaitable[Result | Problem]]
    arguments: tuple[*Arguments]
    path: str
    render: Callable[[Result], object]
    status: int
    new_id: Callable[[Result], UUID] | None
    without_secret: Callable[[Result], Result] | None

    async def run(self, connection: Connection) -> Answer | Problem:
        result = await self.command(connection, *self.arguments)
        if isinstance(result, Problem):
            return result
        headers = {} if self.new_id is None else {"Location": f"{self.path}/{self.new_id(result)}"}
        stored_body = None if self.without_secret is None else _encode(self.render(self.without_secret(result)))
        return Answer(self.status, headers, _encode(self.render(result)), stored_body)
