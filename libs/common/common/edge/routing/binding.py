"""An endpoint's arguments, validated by FastAPI's functions but without its machinery for dependencies (ADR 0011)."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.exceptions import RequestValidationError
from pydantic_core import PydanticUndefined
from starlette.requests import Request

from common.edge.requests.query_parameters import declared_names, query_problems


@dataclass(frozen=True, slots=True)
class Binding:
    """What one function takes, and the functions (`Depends`) that make some of it; those must not block."""

    function: Callable[..., Any]
    name: str | None
    takes: Dependant
    dependencies: tuple["Binding", ...]
    query_names: frozenset[str]

    async def arguments(self, request: Request) -> dict[str, Any]:
        """Raises `RequestValidationError` with all that is wrong."""
        problems: list[Any] = list(query_problems(request, self.query_names))
        values = await self._values(request, problems)
        if problems:
            raise RequestValidationError(problems)
        return values

    async def _values(self, request: Request, problems: list[Any]) -> dict[str, Any]:
        takes, values = self.takes, dict[str, Any]()
        for dependency in self.dependencies:
            found_before = len(problems)
            arguments = await dependency._values(request, problems)
            if len(problems) == found_before and dependency.name is not None:
                made = dependency.function(**arguments)
                values[dependency.name] = await made if inspect.isawaitable(made) else made
        for field in takes.path_params:  # always there, and single: FastAPI's function finds that out at each request
            values[field.name], wrong = field.validate(request.path_params[field.alias], loc=("path", field.alias))
            problems += wrong
        if takes.query_params:
            found, wrong = request_params_to_args(takes.query_params, request.query_params)
            values |= found
            problems += wrong
        if takes.body_params:
            body = getattr(request, "_json", PydanticUndefined)
            found, wrong = await request_body_to_args(takes.body_params, body, embed_body_fields=False)
            values |= found
            problems += wrong
        if takes.request_param_name is not None:
            values[takes.request_param_name] = request
        return values


def bind(dependant: Dependant, *, bodies: int = 1) -> Binding | None:
    """None where more is taken than path, query, one JSON body and the request: then FastAPI has to do the call."""
    dependencies = [bind(each, bodies=0) for each in dependant.dependencies]
    others = (dependant.header_params, dependant.cookie_params, dependant.response_param_name)
    if any(others) or dependant.background_tasks_param_name or len(dependant.body_params) > bodies:
        return None
    function = dependant.call
    if function is None or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return None
    bound = tuple(each for each in dependencies if each is not None)
    if len(bound) < len(dependencies):
        return None
    return Binding(function, dependant.name, dependant, bound, declared_names(dependant))
