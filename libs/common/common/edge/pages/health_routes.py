"""A gateway's routes for health and metrics: the contract's JSON, and the pages that every role has."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from common.access.auth import Role, allow, open_to_all
from common.database.statements import Connection
from common.edge.commands.perform import read
from common.edge.observation.response_times import ResponseTimes
from common.edge.pages.health_pages import HealthPages, Page, json_page
from common.edge.routing.guarded_route import GuardedRoute
from common.health import Health

Counts = Callable[[Connection], Awaitable[Mapping[str, Any]]]
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


class EntityCounts(TypedDict):
    total: int
    by_status: dict[str, int]


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


def metrics_router(counts: Counts, model: type, response_times: ResponseTimes) -> APIRouter:
    """`GET /metrics` in JSON: what `counts` gives, and how long requests took in the last minutes."""
    router = APIRouter(route_class=GuardedRoute, tags=["Health"])

    async def metrics_of(connection: Connection) -> Mapping[str, Any]:
        return {**await counts(connection), "performance": await response_times.performance(connection)}

    @router.get("/metrics", operation_id="getMetrics", responses={200: {"model": model}})
    @allow(*Role)
    async def metrics(request: Request) -> Response:
        """Exact counts by status, and response times of all processes of the service over the last five minutes."""
        return await read(request, metrics_of)

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
