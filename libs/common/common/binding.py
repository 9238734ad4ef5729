"""An endpoint's arguments, validated by FastAPI's own functions but without its machinery for dependencies."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.exceptions import RequestValidationError
from pydantic_core import PydanticUndefined
from starlette.requests import Request

Arguments = Callable[[Request], Awaitable[dict[str, Any]]]


def direct_arguments(dependant: Dependant) -> Arguments | None:
    """How to get them, where an endpoint takes nothing but path, query, one JSON body and the request itself.

    None for any other: FastAPI has to call that one. Raises, when called, `RequestValidationError` with all problems.
    """
    others = (dependant.dependencies, dependant.header_params, dependant.cookie_params, dependant.response_param_name)
    if any(others) or dependant.background_tasks_param_name or len(dependant.body_params) > 1:
        return None
    path_params, query_params, body_params = dependant.path_params, dependant.query_params, dependant.body_params
    request_name = dependant.request_param_name

    async def arguments(request: Request) -> dict[str, Any]:
        values: dict[str, Any] = {request_name: request} if request_name is not None else {}
        errors: list[Any] = []
        if path_params:
            found, problems = request_params_to_args(path_params, request.path_params)
            values |= found
            errors += problems
        if query_params:
            found, problems = request_params_to_args(query_params, request.query_params)
            values |= found
            errors += problems
        if body_params:
            body = getattr(request, "_json", PydanticUndefined)
            found, problems = await request_body_to_args(body_params, body, embed_body_fields=False)
            values |= found
            errors += problems
        if errors:
            raise RequestValidationError(errors)
        return values

    return arguments
