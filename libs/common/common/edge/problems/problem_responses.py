"""Refusals as answers: our own, those of the framework's router, and those of its validation."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from common.edge.problems.problem_details import (
    LONGEST_ADDRESS,
    encode_problem,
    instance_of,
    problem_headers,
    problem_media_type,
)
from common.errors import LISTED_PROBLEMS, Code, Problem, excerpt
from common.internals.starlette import allowed_methods

_BY_STATUS = {
    400: Code.BAD_REQUEST,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.PAYLOAD_TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
    422: Code.VALIDATION_ERROR,
}


def problem_response(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        encode_problem(problem, instance_of(request.scope)),
        problem.code.status,
        {**problem_headers(problem), **(headers or {})},
        problem_media_type(request.scope["headers"]),
    )


async def on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - Starlette's handlers are typed for any exception
    return problem_response(request, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: unknown routes, wrong methods."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    code = _BY_STATUS.get(error.status_code, Code.INTERNAL_ERROR)
    messages = {
        Code.NOT_FOUND: f"There is nothing at {excerpt(request.url.path, LONGEST_ADDRESS)}.",
        Code.METHOD_NOT_ALLOWED: f"{excerpt(request.method, 20)} is not possible here.",
    }
    problem = Problem(code, messages.get(code, HTTPStatus(code.status).phrase))
    headers = error.headers
    if code is Code.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(allowed_methods(request.app.routes, request.url.path))}
    return problem_response(request, problem, headers)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    return problem_response(request, invalid_request(error.errors(), request.scope.get("problems_left_out", 0)))


def invalid_request(found: Sequence[Mapping[str, Any]], left_out: int = 0) -> Problem:
    """Pydantic's findings as the contract's 422; of what the client sent, only names are repeated, and not long ones.

    `left_out` are known problems that are not among the findings (`common.edge.requests.body_bounds`).
    """
    listed = ((_field(each["loc"]), _issue(each)) for each in found[:LISTED_PROBLEMS])
    return Problem.invalid_fields(listed, count=len(found) + left_out)


def _field(location: Sequence[str | int]) -> str:
    """`("body", "line_items", 0, "quantity")` → `line_items.0.quantity`; the body itself stays `body`."""
    return ".".join(map(str, location[1:])) or str(location[0])


def _issue(found: Mapping[str, Any]) -> str:
    if found["type"] == "too_long" and isinstance(found["input"], str):  # counted in "items" if a validator comes first
        return f"String should have at most {found['ctx']['max_length']} characters"
    return str(found["msg"]).removeprefix("Value error, ")
