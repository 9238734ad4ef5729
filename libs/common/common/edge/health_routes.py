"""A gateway's routes that tell how it is: the contract's health and metrics, and the pages that every role has."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from common.access.auth import Role, allow, open_to_all
from common.database.statements import Connection
from common.edge.health_pages import HealthPages, Page, json_page
from common.edge.http import GuardedRoute, read
from common.edge.http_metrics import RecentDurations
from common.health import Health

Counts = Callable[[Connection], Awaitable[Mapping[str, Any]]]


def health_router(health: Health) -> APIRouter:
    router = APIRouter(route_class=GuardedRoute, tags=["health"])

    @router.get("/health", responses={200: {"description": "All is well."}, 503: {"description": "`errors` says why."}})
    @open_to_all
    async def health_page() -> Response:
        document = await health.document()
        return _response(json_page(200 if document["status"] == "healthy" else 503, document))

    return router


def metrics_router(counts: Counts, recent: RecentDurations) -> APIRouter:
    """`GET /metrics` in JSON: what `counts` says of the service's own things, and how long requests took lately."""
    router = APIRouter(route_class=GuardedRoute, tags=["health"])

    @router.get("/metrics")
    @allow(*Role)
    async def metrics(request: Request) -> Response:
        return await read(request, counts, render=lambda counted: {**counted, "performance": recent.summary()})

    return router


def pages_router(pages: HealthPages) -> APIRouter:
    router = APIRouter(route_class=GuardedRoute, include_in_schema=False)
    for path, page in pages.pages.items():
        router.get(path)(_endpoint(page))
    return router


def _endpoint(page: Callable[[], Awaitable[Page]]) -> Callable[[], Awaitable[Response]]:
    @open_to_all
    async def endpoint() -> Response:
        return _response(await page())

    return endpoint


def _response(page: Page) -> Response:
    return Response(page.body, page.status, {"Cache-Control": "no-store"}, page.media_type)
