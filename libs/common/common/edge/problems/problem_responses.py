"""Error responses: to problems of our own, of the framework's router, and of its validation."""

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

REFUSALS = (Problem, HTTPException, RequestValidationError)
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


async def on_refusal(request: Request, error: Exception) -> Response:
    """The response to an exception of one of the `REFUSALS`."""
    if isinstance(error, Problem):
        return problem_response(request, error)
    if isinstance(error, RequestValidationError):
        return problem_response(request, invalid_request(error.errors(), request.scope.get("problems_left_out", 0)))
    if isinstance(error, HTTPException):
        return _routing_problem(request, error)
    raise error


def _routing_problem(request: Request, error: HTTPException) -> Response:
    """Unknown routes and wrong methods, which Starlette refuses."""
    code = _BY_STATUS.get(error.status_code, Code.INTERNAL_ERROR)
    path = request.url.path
    messages = {
        Code.NOT_FOUND: f"There is nothing at {excerpt(path, LONGEST_ADDRESS)}.",
        Code.METHOD_NOT_ALLOWED: f"{excerpt(request.method, 20)} is not possible here.",
    }
    problem = Problem(code, messages.get(code, HTTPStatus(code.status).phrase))
    headers = error.headers
    if code is Code.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(allowed_methods(request.app.routes, request.scope))}
    return problem_response(request, problem, headers)


def invalid_request(errors: Sequence[Mapping[str, Any]], left_out: int = 0) -> Problem:
    """Pydantic's errors as the contract's 422. Of the input only names are repeated, long ones by their beginning.

    `left_out` is the number of problems that are not among the errors (`common.edge.requests.body_bounds`).
    """
    listed_problems = ((_field(each["loc"]), _issue(each)) for each in errors[:LISTED_PROBLEMS])
    return Problem.invalid_fields(listed_problems, count=len(errors) + left_out)


def _field(location: Sequence[str | int]) -> str:
    """`("body", "line_items", 0, "quantity")` → `line_items.0.quantity`; the body itself stays `body`."""
    return ".".join(map(str, location[1:])) or str(location[0])


def _issue(error: Mapping[str, Any]) -> str:
    if error["type"] == "too_long" and isinstance(error["input"], str):  # pydantic says "items" after a validator
        return f"String should have at most {error['ctx']['max_length']} characters"
    return str(error["msg"]).removeprefix("Value error, ")
