"""An endpoint's arguments, validated by FastAPI's functions but without its machinery for dependencies (ADR 11)."""

import inspect
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from common.edge.requests.query import query_problems
from common.internals.fastapi import NO_BODY, Parameters, body_value, path_value, query_values
from common.internals.starlette import stored_json


def require_direct(parameters: Parameters) -> None:
    """Raises `TypeError` for parameters that only FastAPI's own call of the endpoint supplies."""
    name = parameters.function.__qualname__
    if parameters.only_fastapi:
        raise TypeError(f"{name} takes {', '.join(parameters.only_fastapi)}")
    if len(parameters.body) > 1 or any(each.body for each in parameters.dependencies):
        raise TypeError(f"{name} takes more than one body")
    for each in parameters.dependencies:
        require_direct(each)


async def arguments_of(parameters: Parameters, request: Request) -> dict[str, Any]:
    """From path, query, body and request, and from the results of dependencies, which must not block the event loop.

    Raises `RequestValidationError` with all problems of the request.
    """
    problems: list[Any] = list(query_problems(request, parameters.query_names))
    values = await _values(parameters, request, problems)
    if problems:
        raise RequestValidationError(problems)
    return values


async def _values(parameters: Parameters, request: Request, problems: list[Any]) -> dict[str, Any]:
    values = dict[str, Any]()
    for dependency in parameters.dependencies:
        known_problems = len(problems)
        arguments = await _values(dependency, request, problems)
        if len(problems) == known_problems and dependency.name is not None:
            result = dependency.function(**arguments)
            values[dependency.name] = await result if inspect.isawaitable(result) else result
    for field in parameters.path:
        values[field.name], wrong = path_value(field, request.path_params)
        problems += wrong
    # Parameters that are all absent have their defaults: a list without filters does not pay for them.
    if parameters.query and not (
        parameters.has_query_defaults and parameters.query_names.isdisjoint(request.query_params)
    ):
        query, wrong = query_values(parameters.query, request.query_params)
        values |= query
        problems += wrong
    if parameters.body:
        body, wrong = await body_value(parameters.body, stored_json(request, NO_BODY))
        values |= body
        problems += wrong
    if parameters.request_name is not None:
        values[parameters.request_name] = request
    return values
