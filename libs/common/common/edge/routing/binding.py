"""An endpoint's arguments, validated by FastAPI's functions but without its machinery for dependencies (ADR 0011)."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request

from common.edge.requests.query import query_problems
from common.internals.fastapi import NO_BODY, Parameters, body_value, path_value, query_values
from common.internals.starlette import stored_json


@dataclass(frozen=True, slots=True)
class Binding:
    """The arguments of one function: from path, query, body and request, and from its dependencies' results.

    A dependency is called on the event loop and must not block.
    """

    parameters: Parameters
    function: Callable[..., Any]
    dependencies: tuple["Binding", ...]
    query_names: frozenset[str]

    async def arguments(self, request: Request) -> dict[str, Any]:
        """Raises `RequestValidationError` with all problems of the request."""
        problems: list[Any] = list(query_problems(request, self.query_names))
        values = await self._values(request, problems)
        if problems:
            raise RequestValidationError(problems)
        return values

    async def _values(self, request: Request, problems: list[Any]) -> dict[str, Any]:
        parameters, values = self.parameters, dict[str, Any]()
        for dependency in self.dependencies:
            known_problems = len(problems)
            arguments = await dependency._values(request, problems)
            name = dependency.parameters.name
            if len(problems) == known_problems and name is not None:
                result = dependency.function(**arguments)
                values[name] = await result if inspect.isawaitable(result) else result
        for field in parameters.path:
            values[field.name], wrong = path_value(field, request.path_params)
            problems += wrong
        if parameters.query:
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


def bind(parameters: Parameters) -> Binding:
    """Raises `TypeError` for a function that has parameters which only FastAPI's own call supplies."""
    if parameters.only_fastapi:
        raise TypeError(f"{parameters.function.__qualname__} takes {', '.join(parameters.only_fastapi)}")
    dependencies = tuple(map(bind, parameters.dependencies))
    if len(parameters.body) > 1 or any(each.parameters.body for each in dependencies):
        raise TypeError(f"{parameters.function.__qualname__} takes more than one body")
    return Binding(parameters, parameters.function, dependencies, parameters.query_names)
