"""The application of the role `api`: a service's own routes, those of operators, and those without a key."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from common.edge.admission.admission import Admission
from common.edge.contract.openapi import complete_document
from common.edge.observation.request_observer import RequestObserver
from common.edge.observation.response_times import ResponseTimes
from common.edge.operations.operator_routes import router as operator_router
from common.edge.pages.health_pages import HealthPages
from common.edge.pages.health_routes import health_router, pages_router
from common.edge.pages.metrics_route import CountByStatus, metrics_router
from common.edge.pages.static_files import static_router
from common.edge.problems.problem_responses import REFUSALS, on_refusal
from common.edge.requests.query_parameters import WithoutQuery
from common.edge.routing.direct_routes import DirectRoutes
from common.edge.routing.guarded_route import GuardedRoute
from common.errors import CODES_OF_EVERY_SERVICE, ErrorCode
from common.internals.fastapi import new_application, static_folder
from common.internals.starlette import allow_head, replace_middleware_stack, wrap_route
from common.service import Runtime

PREFIX = "/api/v1"


def create_gateway(
    runtime: Runtime[Any],
    routers: Iterable[APIRouter],
    *,
    entities: str,
    count_by_status: CountByStatus,
    error_codes: Iterable[ErrorCode] = (),
) -> FastAPI:
    """The application with `routers`, whose routes are `GuardedRoute`s, below `/api/v1`.

    `entities` is the name of what the service stores, as in `{"vases": {"total": …, "by_status": …}}` of the JSON
    metrics, and `count_by_status` counts them. `error_codes` are those of the service's own problems.
    `app.state.components` run beside the application. Raises `TypeError` for a route that is not guarded.
    """
    response_times = ResponseTimes()
    app = new_application(f"ArtiCurated {runtime.service.name}", exception_handlers=dict.fromkeys(REFUSALS, on_refusal))
    app.state.components = (response_times.component(runtime.pool),)
    app.state.runtime = runtime
    app.state.admission = Admission(runtime.pool, runtime.settings)
    app.add_middleware(RequestObserver, response_times=response_times)
    common_routers = [
        health_router(runtime.health),
        metrics_router(entities, count_by_status, response_times),
        operator_router,
    ]
    own = [route.under(PREFIX) for router in (*routers, *common_routers) for route in _guarded(router)]
    pages = _guarded(pages_router(HealthPages(runtime.health)))
    # Routes are tried in order, so FastAPI's few pages come last.
    app.router.routes[:] = [*own, *pages, *_own_pages(app)]
    complete_document(app, (*CODES_OF_EVERY_SERVICE, *error_codes))
    replace_middleware_stack(app, DirectRoutes(own, app.build_middleware_stack(), response_times))
    return app


def _own_pages(app: FastAPI) -> Iterator[BaseRoute]:
    """FastAPI's pages, with HEAD, without query parameters, and with the files of `/docs` as routes."""
    for route in app.router.routes:
        if (static := static_folder(route)) is not None:
            yield from static_router(*static).routes
            continue
        allow_head(route)
        wrap_route(route, WithoutQuery)
        yield route


def _guarded(router: APIRouter) -> Iterator[GuardedRoute]:
    for route in router.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route} is not a GuardedRoute: give its router route_class=GuardedRoute")
        yield route
