"""The route class of a gateway: it checks the caller and the request before it calls the endpoint (ADR 11)."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from common.access.policy import Policy
from common.edge.commands.idempotency import StoredAnswer
from common.edge.requests.body_bounds import body_model
from common.edge.requests.conditions import parse_conditions, require_no_condition
from common.edge.routing.binding import arguments_of, require_direct
from common.edge.routing.guard import SAFE_METHODS, Guard
from common.edge.routing.openapi import describe
from common.errors import ErrorCode
from common.internals.fastapi import Parameters


class GuardedRoute(APIRoute):
    """A route with a `Guard`, whose endpoint is called directly: that more than halves the cost of the edge.

    `policy` says who may call it; `errors` are its own error codes, for the document. A route that
    is `versioned` reads or changes one aggregate with a version, and checks the request's conditions on it.
    `others_paths` are paths of other routes that this one's template matches too: it leaves them, with every method, to
    those routes. Raises `TypeError` for an endpoint that cannot be called directly.
    """

    others_paths: frozenset[str] = frozenset()

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        policy: Policy,
        versioned: bool = False,
        errors: Iterable[ErrorCode] = (),
        **options: Any,
    ) -> None:
        self.policy = policy
        description = describe(
            endpoint,
            options,
            roles=policy.roles,
            has_object=policy.has_object,
            versioned=versioned,
            errors=errors,
        )
        super().__init__(path, endpoint, **description, strict_content_type=False)
        parameters = Parameters.of_route(self)
        try:
            require_direct(parameters)
        except TypeError as error:
            raise TypeError(
                f"{endpoint.__qualname__} cannot be called directly: {error}; "
                "take only path, query, one body and the request"
            ) from error
        self.guard = Guard(policy.roles, self.path_format, body_model(parameters.body_type))
        is_unsafe = not SAFE_METHODS.issuperset(self.methods or ())
        conditions = parse_conditions if versioned else require_no_condition if is_unsafe else None
        self.app = _DirectCall(endpoint, self.guard, parameters, conditions)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        if match is not Match.NONE and scope["path"] in self.others_paths:
            return Match.NONE, {}
        return (Match.FULL if match is Match.PARTIAL and self._is_head(scope) else match), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HEAD is GET without the body (RFC 9110, 9.3.2), which the server leaves out."""
        await (self.app if self._is_head(scope) else super().handle)(scope, receive, send)

    def _is_head(self, scope: Scope) -> bool:
        return scope["method"] == "HEAD" and "GET" in (self.methods or ())


def separate_literal_paths(routes: Sequence[GuardedRoute]) -> None:
    """`/jobs/replay` is not a job with the id `replay`, whatever the method: the method that the literal path does not
    have is a 405."""
    literal = {route.path for route in routes if "{" not in route.path}
    for route in routes:
        if "{" in route.path:
            route.others_paths = frozenset(filter(route.path_regex.match, literal))


@dataclass(frozen=True, slots=True)
class _DirectCall:
    """ASGI application: calls the endpoint without FastAPI."""

    endpoint: Callable[..., Coroutine[Any, Any, Response]]
    guard: Guard
    parameters: Parameters
    check_conditions: Callable[[Scope], None] | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        await self.guard.check(request)
        arguments = await arguments_of(self.parameters, request)
        if self.check_conditions is not None:
            self.check_conditions(scope)
        try:
            response = await self.endpoint(**arguments)
        except StoredAnswer as stored:
            response = stored.answer.response
        await response(scope, receive, send)
