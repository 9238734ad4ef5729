"""A gateway's routes for health: the contract's JSON, and the pages of every role."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Response
from typing_extensions import TypedDict

from common.access.auth import open_to_all
from common.edge.pages.health_pages import HealthPages, Page, json_page
from common.edge.routing.guarded_route import GuardedRoute
from common.health import Health

Connected = Literal["connected", "disconnected"]


class Dependencies(TypedDict):
    database: Connected
    kafka: Connected


class HealthResponse(TypedDict):
    status: Literal["healthy"]
    timestamp: datetime
    services: Dependencies


class UnhealthyResponse(TypedDict):
    """`errors` says why, in words that may be shown to anybody."""

    status: Literal["unhealthy"]
    timestamp: datetime
    services: Dependencies
    errors: list[str]


def health_router(health: Health) -> APIRouter:
    router = APIRouter(route_class=GuardedRoute, tags=["Health"])

    @router.get(
        "/health",
        operation_id="healthCheck",
        responses={
            200: {"model": HealthResponse, "description": "The database and Kafka answer."},
            503: {"model": UnhealthyResponse, "description": "The database or Kafka does not answer."},
        },
    )
    @open_to_all
    async def health_page() -> Response:
        """Answers within a second, also when a dependency hangs."""
        document = await health.document()
        return _response(json_page(200 if document["status"] == "healthy" else 503, document))

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
