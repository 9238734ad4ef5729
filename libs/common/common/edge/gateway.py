"""The application of the role `api`: a service's own routes, those for operators, and those that need no API key."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from common.edge.admission.admission import Admission
from common.edge.admission.request_slots import RequestSlots
from common.edge.admission.running_requests import RunningRequests
from common.edge.observation.request_observer import RequestObserver
from common.edge.observation.response_times import ResponseTimes
from common.edge.pages.audit_routes import router as audit_router
from common.edge.pages.audit_routes import verification_router
from common.edge.pages.job_routes import router as job_router
from common.edge.pages.operator_routes import router as operator_router
from common.edge.pages.poison_routes import router as poison_router
from common.edge.pages.standard_routes import CountByStatus, pages_router, standard_router, static_router
from common.edge.problems.problem_responses import REFUSALS, on_refusal
from common.edge.requests.query import WithoutQuery
from common.edge.routing.guarded_route import GuardedRoute, separate_literal_paths
from common.edge.routing.openapi import complete_document
from common.edge.routing.router import Router
from common.errors import CODES_OF_EVERY_SERVICE, ErrorCode
from common.internals.fastapi import new_application, static_folder
from common.internals.starlette import allow_head, replace_middleware_stack, wrap_route
from common.service import Runtime

PREFIX = "/api/v1"


def create_gateway(
    runtime: Runtime[Any],
    routers: Iterable[Router],
    *,
    entities: str,
    count_by_status: CountByStatus,
    error_codes: Iterable[ErrorCode] = (),
) -> FastAPI:
    """The application with the routes of `routers` below `/api/v1`.

    `entities` is the name of what the service stores, as in `{"vases": {"total": …, "by_status": …}}` of the JSON
    metrics, and `count_by_status` counts them. `error_codes` are the service's own, for the OpenAPI document.
    `app.state.components` are background tasks that run while the application serves. Raises what `GuardedRoute`
    raises.
    """
    response_times, running_requests = ResponseTimes(), RunningRequests(runtime.settings)
    app = new_application(f"ArtiCurated {runtime.service.name}", exception_handlers=dict.fromkeys(REFUSALS, on_refusal))
    app.state.runtime = runtime
    app.state.export_slots = RequestSlots("exports")
    # Clients that read slowly have no part of these.
    app.state.audit_export_slots = RequestSlots("exports of the audit trail")
    app.state.admission = admission = Admission(runtime.pool, runtime.settings)
    components = (response_times.component(runtime.pool), *admission.components(runtime.pool))
    app.state.components = (*components, running_requests.component)
    app.add_middleware(RequestObserver, response_times=response_times, running_requests=running_requests)
    standard = standard_router(runtime.health, entities, count_by_status, response_times)
    shared = (standard, job_router, poison_router, operator_router, audit_router, verification_router)
    own = [route for router in (*routers, *shared) for route in router.build(PREFIX)]
    separate_literal_paths(own)
    # Routes are tried in order, so FastAPI's own pages come last.
    app.router.routes[:] = [*own, *pages_router(runtime.health).build(), *_own_pages(app)]
    complete_document(app, (*CODES_OF_EVERY_SERVICE, *error_codes))
    call_route = RequestObserver(_call_route, response_times, running_requests)
    replace_middleware_stack(app, DirectRoutes(own, app.build_middleware_stack(), call_route))
    return app


def _own_pages(app: FastAPI) -> Iterator[BaseRoute]:
    """FastAPI's pages, with HEAD, without query parameters, and with the files of `/docs` as routes."""
    for route in app.router.routes:
        if (static := static_folder(route)) is not None:
            yield from static_router(*static).build()
            continue
        allow_head(route)
        wrap_route(route, WithoutQuery)
        yield route


class DirectRoutes:
    """ASGI application that sends most requests straight to their route, past the layers of the framework (ADR 15).

    The first of `routes` that matches the request is called by `call_route`; `framework` has all other requests.
    """

    def __init__(self, routes: Iterable[GuardedRoute], framework: ASGIApp, call_route: ASGIApp) -> None:
        self._routes = tuple(routes)
        self._framework = framework
        self._call_route = call_route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route in self._routes:
                match, child_scope = route.matches(scope)
                if match is not Match.FULL:
                    continue
                scope.update(child_scope, route=route)
                await self._call_route(scope, receive, send)
                return
        await self._framework(scope, receive, send)


async def _call_route(scope: Scope, receive: Receive, send: Send) -> None:
    """The route, and the answers to its exceptions of `REFUSALS`."""
    try:
        await scope["route"].app(scope, receive, send)
    except REFUSALS as refusal:
        response = await on_refusal(Request(scope, receive, send), refusal)
        await response(scope, receive, send)
