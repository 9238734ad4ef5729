"""Refuses query parameters that a route does not declare, or that are given twice (ADR 0024)."""

from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from common.edge.problems.problem_responses import invalid_request, problem_response

_LONGEST_NAME = 100


def query_problems(request: Request, declared: frozenset[str]) -> list[dict[str, Any]]:
    """In the form of pydantic's errors; each declared parameter takes one value."""
    if not request.scope["query_string"]:
        return []
    counts = Counter(name for name, _ in request.query_params.multi_items())
    unknown = [_problem(name, "is not a query parameter of this route") for name in counts if name not in declared]
    repeated = [_problem(name, "must be given once") for name in declared if counts[name] > 1]
    return unknown + repeated


def _problem(name: str, issue: str) -> dict[str, Any]:
    return {"type": "query", "loc": ("query", name[:_LONGEST_NAME]), "msg": issue, "input": None}


class WithoutQuery:
    """ASGI application: `app`, without any query parameters."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["query_string"]:
            request = Request(scope, receive)
            problems = query_problems(request, frozenset())
            if problems:
                await problem_response(request, invalid_request(problems))(scope, receive, send)
                return
        await self._app(scope, receive, send)
