"""The console as an ASGI application: its parts and its routes."""

import time
from collections import defaultdict
from typing import Any

import structlog
from common.edge.pages.health_pages import open_pages
from common.edge.pages.page_application import PageApplication
from common.errors import Code, Problem
from common.telemetry.trace_context import trace_id
from prometheus_client import Histogram
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from console.headers import protected
from console.page_trace import begin_page_trace
from console.pages.dispatch import Dispatch
from console.pages.log_in import LogInPages
from console.pages.openid_log_in import OpenIdPages
from console.pages.page import Page
from console.pages.rendering import Rendering
from console.pages.table import PAGES
from console.pages.templates import Templates
from console.services.monitoring import Monitoring
from console.services.services import ServiceConnections
from console.session.cookies import SealedCookies
from console.session.identifying import Identifying
from console.session.openid import CALLBACK, OpenIdProvider, OpenIdSettings
from console.session.sessions import Sessions
from console.settings import ConsoleSettings, parse_roles
from console.static_files import StaticFiles

_METHODS = ("GET", "HEAD", "POST")

_duration = Histogram(
    "console_request_duration_seconds",
    "Time from the request's head to the answer's end, by page",
    ["method", "page", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_log = structlog.get_logger(__name__)


def openid_settings(settings: ConsoleSettings) -> OpenIdSettings | None:
    if settings.oidc_client_id is None or settings.jwt_issuer is None or settings.public_url is None:
        return None
    return OpenIdSettings(
        settings.jwt_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret.get_secret_value(),
        settings.oidc_scopes,
        settings.oidc_bearer,
        settings.public_url + CALLBACK,
    )


class Console:
    """Set `is_stopping` when the process begins to stop. Close it at the end."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self.is_stopping = False
        urls = {
            "orders": settings.orders_url,
            "returns": settings.returns_url,
            "invoicing": settings.invoicing_url,
            "refunds": settings.refunds_url,
        }
        self._connections = ServiceConnections(urls, settings.source_address)
        cookies = SealedCookies(settings.session_key, settings.public_url)
        sessions = Sessions(cookies, settings.session_hours * 3600)
        static = StaticFiles()
        rendering = Rendering(Templates(static), cookies, PAGES)
        self._monitoring = Monitoring(
            self._connections.http,
            parse_roles(settings.role_addresses),
            alertmanager_url=settings.alertmanager_url,
            prometheus_url=settings.prometheus_url,
        )
        dispatch = Dispatch(
            sessions,
            self._connections,
            self._monitoring,
            rendering,
            public_url=settings.public_url,
            trace_url_template=settings.trace_url_template,
        )
        identifying = Identifying(self._connections)
        provider = openid_settings(settings)
        log_in = LogInPages(
            sessions,
            cookies,
            identifying,
            rendering,
            public_url=settings.public_url,
            has_oidc=provider is not None,
        )
        openid = None
        if provider is not None:
            openid = OpenIdPages(OpenIdProvider(self._connections.http, provider), cookies, identifying, log_in)
        self._open_pages = open_pages(lambda: self.is_stopping)
        self._open_application = PageApplication(self._open_pages, Problem(Code.NOT_FOUND, "There is nothing here."))
        self._app = _application(dispatch, log_in, openid, static)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._monitoring.samples.start()
        if scope["path"] in self._open_pages:
            await self._open_application(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        fields = {"trace_id": trace_id(begin_page_trace(scope))}

        async def send_protected(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = protected(message["headers"])
            await send(message)

        try:
            await self._app(scope, receive, send_protected)
        except Exception as error:  # starlette raises it again after the response
            _log.error("request failed", exc_info=error, **fields)
        finally:
            seconds = time.perf_counter() - started
            method = scope["method"] if scope["method"] in _METHODS else "other"
            page = scope.get("page", "other")
            _duration.labels(method, page, str(status)).observe(seconds)
            milliseconds = round(seconds * 1000, 2)
            _log.info("request", method=method, page=page, status=status, milliseconds=milliseconds, **fields)

    async def close(self) -> None:
        await self._monitoring.samples.close()
        await self._connections.close()


def _application(dispatch: Dispatch, log_in: LogInPages, openid: OpenIdPages | None, static: StaticFiles) -> Starlette:
    by_path: dict[str, list[Page]] = defaultdict(list)
    for page in PAGES:
        by_path[page.path].append(page)
    openid_routes = []
    if openid is not None:
        openid_routes = [
            Route("/login/oidc", openid.start, methods=["GET"]),
            Route(CALLBACK, openid.finish, methods=["GET"]),
        ]
    routes = [
        *openid_routes,
        Route("/login", log_in.form, methods=["GET"]),
        Route("/login", log_in.log_in, methods=["POST"]),
        Route("/logout", log_in.log_out, methods=["POST"]),
        Route("/static/{name}", static.serve, methods=["GET"]),
        *(
            Route(path, dispatch.endpoint(pages), methods=[page.method for page in pages])
            for path, pages in by_path.items()
        ),
    ]

    async def not_found(request: Request, _error: Exception) -> Response:
        return dispatch.not_found(request)

    async def failed(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("Something went wrong on our side.", status_code=500)

    return Starlette(routes=routes, exception_handlers={404: not_found, Exception: failed})
