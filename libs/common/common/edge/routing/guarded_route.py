"""The route class of a gateway: it checks the caller and the request before it calls the endpoint (ADR 0011)."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from common.access.auth import Role
from common.edge.commands.idempotency import StoredAnswer
from common.edge.requests.body_bounds import body_model
from common.edge.requests.query import query_problems
from common.edge.routing.binding import Binding, bind
from common.edge.routing.guard import Guard
from common.edge.routing.openapi import describe
from common.internals.fastapi import Parameters

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def called_by_fastapi(endpoint: Endpoint) -> Endpoint:
    """For an endpoint that takes what only FastAPI supplies, such as a header: FastAPI calls it, which costs more."""
    endpoint.__dict__["called_by_fastapi"] = True
    return endpoint


class GuardedRoute(APIRoute):
    """A route with a `Guard`, whose endpoint is called directly: that more than halves the cost of the edge.

    `roles` may call it, everybody where they are None. Raises `TypeError` for an endpoint that cannot be called
    directly without `@called_by_fastapi`.
    """

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, roles: frozenset[Role] | None, **options: Any
    ) -> None:
        self.roles = roles
        description = describe(path, endpoint, options, needs_key=roles is not None)
        super().__init__(path, endpoint, **description, strict_content_type=False)
        self.is_direct = "called_by_fastapi" not in endpoint.__dict__
        if self.is_direct:
            self.app = _DirectCall(endpoint, self._guard(), self._binding())

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL and self._is_head(scope) else match), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HEAD is GET without the body (RFC 9110, 9.3.2), which the server leaves out."""
        await (self.app if self._is_head(scope) else super().handle)(scope, receive, send)

    def _is_head(self, scope: Scope) -> bool:
        return scope["method"] == "HEAD" and "GET" in (self.methods or ())

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """For an endpoint that FastAPI calls."""
        handle, guard, query_names = super().get_route_handler(), self._guard(), self._parameters().query_names

        async def guarded(request: Request) -> Response:
            await guard.check(request)
            if problems := query_problems(request, query_names):
                raise RequestValidationError(problems)
            try:
                return await handle(request)
            except StoredAnswer as stored:
                return stored.answer.response

        return guarded

    def _parameters(self) -> Parameters:
        return Parameters.of_route(self)

    def _guard(self) -> Guard:
        return Guard(self.roles, self.path_format, body_model(self._parameters().body_type))

    def _binding(self) -> Binding:
        try:
            return bind(self._parameters())
        except TypeError as error:
            raise TypeError(
                f"{self.endpoint.__qualname__} cannot be called directly: {error}; "
                "take only path, query, one body and the request, or mark it @called_by_fastapi"
            ) from error


@dataclass(frozen=True, slots=True)
class _DirectCall:
    """ASGI application: calls the endpoint without FastAPI."""

    endpoint: Callable[..., Coroutine[Any, Any, Response]]
    guard: Guard
    binding: Binding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        await self.guard.check(request)
        try:
            response = await self.endpoint(**await self.binding.arguments(request))
        except StoredAnswer as stored:
            response = stored.answer.response
        await response(scope, receive, send)
