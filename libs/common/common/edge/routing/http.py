"""The edge of a gateway: who may call, what is read and what is answered, the same on every route.

@router.post("/orders", status_code=201, responses={201: {"model": OrderResponse}})
@allow(Role.CLIENT)
async def place_order(request: Request, order: OrderCreate) -> Response:
    caller = caller_of(request)
    return await perform(
        request,
        lambda connection: use_cases.place_order(connection, order, caller),
        render=schemas.order_response,
        status=201,
        headers=lambda placed: {"Location": f"/api/v1/orders/{placed.id}"},
    )
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import WithJsonSchema
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from common.access.auth import EVERYONE, Caller, Role, allowed_roles, forbidden
from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.edge.admission.admission import Admission
from common.edge.admission.rate_limit import RateLimit
from common.edge.commands import idempotency
from common.edge.commands.idempotency import Answer
from common.edge.contract.openapi import describe
from common.edge.problems.problem_responses import problem_response
from common.edge.requests.body import read_json
from common.edge.requests.body_bounds import THINNED_ABOVE_BYTES, body_model, drop_unknown_fields
from common.edge.requests.headers import single_header
from common.edge.requests.query_parameters import declared_names, query_problems
from common.edge.routing.binding import Binding, bind
from common.errors import Code, Problem
from common.settings import ServiceSettings

Result = TypeVar("Result")

# Money in a response: exact inside, a JSON number outside, as the public contract has it.
JsonNumber = Annotated[Decimal, WithJsonSchema({"type": "number"})]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_encode = msgspec.json.Encoder(decimal_format="number").encode


def _as_it_is(result: object) -> object:
    return result


class Edge:
    """What the routes of one application share."""

    def __init__(self, pool: Pool, settings: ServiceSettings) -> None:
        self.pool = pool
        self.max_body_bytes = settings.max_body_bytes
        self.idempotency_retention = timedelta(hours=settings.idempotency_retention_hours)
        self._admission = Admission(pool, settings)
        self._rate_limit = RateLimit(settings.rate_limit_per_minute)

    async def admit(self, request: Request, roles: frozenset[Role]) -> None:
        """Raises `Problem` BAD_REQUEST for two keys, UNAUTHENTICATED, RATE_LIMITED or FORBIDDEN, in this order."""
        scope = request.scope
        presented = _api_key(request)
        ip_address = scope["client"][0] if scope.get("client") else None
        holder = self._admission.known(presented)
        if holder is None:
            holder = await self._admission.look_up(presented, ip_address or "")
        scope["caller"] = Caller(holder.prefix, holder.role, holder.customer_id, ip_address, scope["traceparent"])
        allowance = self._rate_limit.hit(holder.prefix)
        if allowance is not None:
            scope["rate_headers"] = allowance.headers()
        if holder.role not in roles:
            raise forbidden(holder.role)


class GuardedRoute(APIRoute):
    """Refuses in the contract's order before anything is read or validated; see docs/reference/errors.md.

    Most endpoints are called directly, which more than halves what the edge costs (ADR 0011).
    Raises `TypeError` when the endpoint does not say who may call it.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self._options = options
        super().__init__(path, endpoint, **describe(path, endpoint, options), strict_content_type=False)
        binding = bind(self.dependant)
        self.is_direct = binding is not None
        if binding is not None:
            self.app = self._direct(binding)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL and self._is_head(scope) else match), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HEAD is GET without the body (RFC 9110, 9.3.2), which the server leaves out."""
        await (self.app if self._is_head(scope) else super().handle)(scope, receive, send)

    def _is_head(self, scope: Scope) -> bool:
        return scope["method"] == "HEAD" and "GET" in (self.methods or ())

    def under(self, prefix: str) -> "GuardedRoute":
        """The same route, made anew so that it knows its whole path."""
        return GuardedRoute(prefix + self.path, self.endpoint, **self._options)

    def _direct(self, binding: Binding) -> ASGIApp:
        endpoint, guard = self.endpoint, self._guard()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive, send)
            await guard(request)
            response: Response = await endpoint(**await binding.arguments(request))
            await response(scope, receive, send)

        return app

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, guard, query_names = super().get_route_handler(), self._guard(), declared_names(self.dependant)

        async def guarded(request: Request) -> Response:
            await guard(request)
            if problems := query_problems(request, query_names):
                raise RequestValidationError(problems)
            return await handle(request)

        return guarded

    def _guard(self) -> Callable[[Request], Awaitable[None]]:
        roles, template, model = allowed_roles(self.endpoint), self.path_format, body_model(self.dependant)

        async def guard(request: Request) -> None:
            scope = request.scope
            scope["route_template"] = template
            edge: Edge = request.app.state.edge
            if roles is not EVERYONE:
                await edge.admit(request, roles)
            if "\0" in scope["path"] or b"%00" in scope["query_string"]:
                raise Problem(Code.BAD_REQUEST, "The address must not contain NUL characters.")
            if scope["method"] not in SAFE_METHODS:
                body = await read_json(request, edge.max_body_bytes)
                if model is not None and len(body) > THINNED_ABOVE_BYTES:
                    scope["problems_left_out"] = drop_unknown_fields(request._json, model)

        return guard


def caller_of(request: Request) -> Caller:
    """Who calls a guarded route."""
    caller: Caller = request.scope["caller"]
    return caller


async def perform(
    request: Request,
    command: Callable[[Connection], Awaitable[Result | Problem]],
    *,
    render: Callable[[Result], object] = _as_it_is,
    status: int = 200,
    headers: Callable[[Result], Mapping[str, str]] = lambda _: {},
    without_secret: Callable[[Result], Result] | None = None,
) -> Response:
    """Run a command in one transaction and answer with what it returns, once per `Idempotency-Key`.

    A `Problem` that the command returns is committed with what it wrote; one that it raises undoes everything.
    `without_secret` takes out of a result what may not be stored, and so is answered the first time only.
    """
    edge: Edge = request.app.state.edge

    async def effect(connection: Connection) -> Answer | Problem:
        outcome = await command(connection)
        if isinstance(outcome, Problem):
            return outcome
        kept = None if without_secret is None else _encode(render(without_secret(outcome)))
        return Answer(status, headers(outcome), _encode(render(outcome)), kept)

    key = single_header(request.scope, b"idempotency-key")
    if key is None:
        async with transaction(edge.pool) as connection:
            answer = await effect(connection)
    else:
        claim = idempotency.claim(
            key.decode("latin-1"),
            caller=caller_of(request).key_prefix,
            method=request.method,
            path=request.url.path,
            body=await request.body(),
        )
        answer = await idempotency.answer_once(edge.pool, claim, effect, edge.idempotency_retention)
    if isinstance(answer, Problem):
        return problem_response(request, answer)
    return Response(answer.body, answer.status, answer.headers, "application/json")


async def read(
    request: Request,
    query: Callable[[Connection], Awaitable[Result]],
    *,
    render: Callable[[Result], object] = _as_it_is,
) -> Response:
    """Answer with what a query finds, outside any transaction; it raises a `Problem` where there is nothing."""
    edge: Edge = request.app.state.edge
    async with reading(edge.pool) as connection:
        found = await query(connection)
    return Response(_encode(render(found)), media_type="application/json")


def _api_key(request: Request) -> bytes:
    key = single_header(request.scope, b"x-api-key")
    if key is None:
        raise Problem(Code.UNAUTHENTICATED, "The header X-API-Key is missing.")
    return key
