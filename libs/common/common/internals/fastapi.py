"""Internals of FastAPI: an endpoint's parameters, their validation, and the offline pages of `/docs`."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

CHECKED_FASTAPI = "0.165.0"
CHECKED_FASTAPI_OFFLINE = "1.7.7"

Problems = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of an endpoint or a dependency, as FastAPI finds them in the signature.

    FastAPI has them in `APIRoute.dependant`, and reads them at each request; we read them once, at start. `name` is
    that of the parameter which receives the dependency's result. `only_fastapi` says which kinds of parameters there
    are, or other properties, that nothing but FastAPI's own call supports. `query_names` are those of the function and
    of all that it depends on. With `has_query_defaults`, the function can be called without its own ones.
    """

    function: Callable[..., Any]
    name: str | None
    path: Sequence[Any]
    query: Sequence[Any]
    body: Sequence[Any]
    request_name: str | None
    dependencies: tuple["Parameters", ...]
    only_fastapi: tuple[str, ...]
    query_names: frozenset[str]
    has_query_defaults: bool

    @classmethod
    def of_route(cls, route: APIRoute) -> "Parameters":
        return cls._of(route.dependant)

    @classmethod
    def _of(cls, dependant: Dependant) -> "Parameters":
        function = dependant.call
        assert function is not None  # noqa: S101 - FastAPI makes a Dependant without a function only while it builds one
        dependencies = tuple(map(cls._of, dependant.dependencies))
        own_names = (field.alias for field in dependant.query_params)
        return cls(
            function,
            dependant.name,
            dependant.path_params,
            dependant.query_params,
            dependant.body_params,
            dependant.request_param_name,
            dependencies,
            tuple(_only_fastapi(dependant, function)),
            frozenset(own_names).union(*(each.query_names for each in dependencies)),
            all(_has_default(function, field.name) for field in dependant.query_params),
        )

    @property
    def body_type(self) -> Any:
        """The annotation of the only body parameter; None where there is none, or more than one."""
        return self.body[0].field_info.annotation if len(self.body) == 1 else None


def _only_fastapi(dependant: Dependant, function: Callable[..., Any]) -> Iterator[str]:
    kinds = {
        "a header": dependant.header_params,
        "a cookie": dependant.cookie_params,
        "the response": dependant.response_param_name,
        "background tasks": dependant.background_tasks_param_name,
    }
    yield from (kind for kind, present in kinds.items() if present)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        yield "a dependency with yield"


def _has_default(function: Callable[..., Any], name: str) -> bool:
    """Of Python, not one of FastAPI's descriptions."""
    default = inspect.signature(function).parameters[name].default
    return default is not inspect.Parameter.empty and not isinstance(default, FieldInfo)


def path_value(field: Any, values: Mapping[str, Any]) -> tuple[Any, Problems]:
    """A path parameter's value and what is wrong with it.

    Not `request_params_to_args`: a path parameter is always present and single, which that finds out at each request.
    """
    value: tuple[Any, Problems] = field.validate(values[field.alias], loc=("path", field.alias))
    return value


def query_values(fields: Sequence[Any], query: Any) -> tuple[dict[str, Any], Problems]:
    """FastAPI's own reading of query parameters, so that both ways of calling an endpoint have the same answers."""
    return request_params_to_args(fields, query)


async def body_value(fields: Sequence[Any], document: Any) -> tuple[dict[str, Any], Problems]:
    """FastAPI's own validation of the parsed body; `PydanticUndefined` for a request without one."""
    return await request_body_to_args(list(fields), document, embed_body_fields=False)


NO_BODY = PydanticUndefined


def new_application(title: str, **options: Any) -> FastAPI:
    """An application whose `/docs` loads nothing from other sites."""
    return FastAPIOffline(
        title=title,
        version="1",
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        **options,
    )


def static_folder(route: BaseRoute) -> tuple[str, Path] | None:
    """The path and the folder of the files of `/docs`, which fastapi-offline mounts; None for any other route."""
    if isinstance(route, Mount) and isinstance(route.app, StaticFiles) and route.app.directory is not None:
        return route.path, Path(route.app.directory)
    return None
