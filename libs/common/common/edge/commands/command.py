"""Runs the command of a request in one transaction, once per `Idempotency-Key`, and answers with its result."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from common import failpoints
from common.access.auth import Caller
from common.aggregates.precondition import Precondition, entity_tag
from common.database.statements import Connection
from common.database.transactions import reading, transaction
from common.edge.commands.idempotency import Answer, KeyedRequest, keyed_transaction, require_unanswered, store_answer
from common.edge.commands.query import encode_json, unchanged, version_of
from common.edge.problems.problem_responses import problem_response
from common.edge.requests.headers import single_header
from common.errors import Problem
from common.service import Runtime

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Command:
    """The transaction of a command; `answer` is its last step."""

    request: Request
    connection: Connection
    keyed: KeyedRequest | None = None

    @property
    def precondition(self) -> Precondition:
        """Of a versioned route, for the use case, which checks it under the aggregate's lock."""
        precondition: Precondition = self.request.scope["precondition"]
        return precondition

    async def answer(
        self,
        result: Result | Problem,
        render: Callable[[Result], object] = unchanged,
        *,
        status: int = 200,
        new_id: UUID | None = None,
        without_secret: Callable[[Result], Result] | None = None,
    ) -> Response:
        """The response to the result, stored under the Idempotency-Key if there is one.

        For a `Problem` that the command returned, what it wrote is committed. `new_id` is the id of the resource that
        the command created, for `Location`. A result with a `version` has it as its `ETag`. `without_secret` gives the
        result as it may be stored.
        """
        if isinstance(result, Problem):
            if self.keyed is not None:
                await require_unanswered(self.connection, self.keyed)
            return problem_response(self.request, result)
        headers = {} if new_id is None else {"Location": f"{self.request.scope['path']}/{new_id}"}
        version = version_of(result)
        if version is not None:
            headers["ETag"] = entity_tag(version)
        body = encode_json(render(result))
        if self.keyed is not None:
            stored_body = body if without_secret is None else encode_json(render(without_secret(result)))
            retention = timedelta(hours=Runtime.of(self.request).settings.idempotency_retention_hours)
            await store_answer(self.connection, self.keyed, Answer(status, headers, stored_body), retention)
        return Answer(status, headers, body).response


@asynccontextmanager
async def command(request: Request) -> AsyncIterator[Command]:
    """One transaction, committed at the end of the block and rolled back when the block raises.

        async with command(request) as run:
            order = await commands.place_order(run.connection, Caller.of(request), body.to_domain())
            return await run.answer(order, order_response, status=201)

    With an `Idempotency-Key`, raises what `keyed_transaction` raises; a `StoredAnswer` is answered by the route.
    """
    pool = Runtime.of(request).pool
    keyed_request = await keyed_request_of(request)
    try:
        if keyed_request is None:
            async with transaction(pool) as connection:
                yield Command(request, connection)
                failpoints.hit("command.before_commit")
        else:
            async with keyed_transaction(pool, keyed_request) as connection:
                yield Command(request, connection, keyed_request)
                failpoints.hit("command.before_commit")
        failpoints.hit("command.after_commit")
    except Problem as problem:
        if problem.after_rollback is None:
            raise
        async with reading(pool) as connection:
            raise await problem.after_rollback(connection) or problem from None


async def keyed_request_of(request: Request) -> KeyedRequest | None:
    """The request with its Idempotency-Key; None without one."""
    key = single_header(request.scope, b"idempotency-key")
    if key is None:
        return None
    return KeyedRequest.of(
        key.decode("latin-1"),
        caller=Caller.of(request).scope,
        method=request.method,
        path=request.scope["path"],
        body=await request.body(),
    )
