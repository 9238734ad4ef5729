"""A service's application for the role `api`: its own routes, those for operators, and those that need no key."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from common.errors import Problem
from common.http import Edge
from common.http_metrics import RecentDurations, RequestObserver
from common.openapi import complete_document
from common.problem_details import on_http_exception, on_invalid_request, on_problem
from common.service import Runtime
from common.statements import Connection

PREFIX = "/api/v1"

Counts = Callable[[Connection], Awaitable[Mapping[str, Any]]]


def create_gateway(runtime: Runtime[Any], routers: Iterable[APIRouter], *, counts: Counts) -> FastAPI:
    """The application; `routers` come under `/api/v1`, `counts` gives the JSON metrics of what the service owns.

    Raises `TypeError` for a route that is not guarded.
    """
    recent = RecentDurations()
    app = FastAPI(
        title=f"ArtiCurated {runtime.service.name}",
        version="1",
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        exception_handlers={
            Problem: on_problem,
            HTTPException: on_http_exception,
            RequestValidationError: on_invalid_request,
        },
    )
    app.state.edge = Edge(runtime.pool, runtime.settings)
    app.add_middleware(RequestObserver, recent=recent)
    for router in routers:
        app.include_router(router, prefix=PREFIX)
    complete_document(app)
    return app
