"""Routes that every gateway has: health and metrics in JSON, the pages of every role, and the files of `/docs`."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from fastapi import Query, Request, Response
from typing_extensions import TypedDict

from common.access.auth import Role
from common.database.statements import Connection
from common.edge.commands.query import read
from common.edge.observation.response_times import HistogramDocument, Performance, ResponseTimes
from common.edge.pages.health_pages import HealthPages
from common.edge.pages.page_application import Page, PageFunction, json_page
from common.edge.routing.router import Router
from common.health import Health

MoreMetrics = Annotated[
    Literal["response_times"] | None,
    Query(description="`response_times` adds the histogram of the response times, to be added up over services."),
]
CountByStatus = Callable[[Connection], Awaitable[Mapping[Any, int]]]
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


def standard_router(
    health: Health, entities: str, count_by_status: CountByStatus, response_times: ResponseTimes
) -> Router:
    """`entities` is the name of the counted objects in the JSON metrics, such as `vases`."""
    router = Router(tag="Health")
    new_type: Any = TypedDict  # mypy accepts literal names only
    members = {entities: EntityCounts, "performance": Performance, "response_times": NotRequired[HistogramDocument]}
    metrics_response = new_type("MetricsResponse", members)

    @router.route(
        "GET",
        "/health",
        roles=None,
        operation_id="healthCheck",
        responses={
            200: {"model": HealthResponse, "description": "The database and Kafka answer."},
            503: {"model": UnhealthyResponse, "description": "The database or Kafka does not answer."},
        },
    )
    async def health_page() -> Response:
        """Answers within a second, also when a dependency hangs."""
        document = await health.document()
        return _response(json_page(200 if document["status"] == "healthy" else 503, document))

    async def metrics(connection: Connection, include: str | None) -> dict[str, object]:
        by_status = await count_by_status(connection)
        counts = {"total": sum(by_status.values()), "by_status": by_status}
        recent = await response_times.recent(connection)
        document: dict[str, object] = {entities: counts, "performance": recent.performance()}
        return document if include is None else {**document, include: recent.document()}

    @router.route("GET", "/metrics", roles=Role, returns=metrics_response)
    async def get_metrics(request: Request, include: MoreMetrics = None) -> Response:
        """Exact counts by status, and response times of all processes of the service over the last five minutes.
        `include=response_times` adds the histogram behind them."""
        return await read(request, metrics, include)

    return router


def pages_router(health: Health) -> Router:
    """`/livez`, `/readyz` and `/metrics`."""
    router = Router()
    for path, page in HealthPages(health).pages.items():
        router.route("GET", path, roles=None)(_page_endpoint(page))
    return router


def _page_endpoint(page: PageFunction) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return _response(await page(request.scope))

    return endpoint


def _response(page: Page) -> Response:
    return Response(page.body, page.status, {"Cache-Control": "no-store", **page.headers}, page.media_type)


def static_router(prefix: str, folder: Path) -> Router:
    """A route for each file of the folder, which is read at its first request and then sent from memory.

    These files are the largest responses that need no key. Starlette reads a file in a thread, 64 KiB at a time: a
    hundred clients that do not read their responses would block a process (ADR 17).
    """
    router = Router(prefix)
    for file in sorted(folder.iterdir()):
        router.route("GET", f"/{file.name}", roles=None)(_file_endpoint(file))
    return router


def _file_endpoint(file: Path) -> Callable[[], Awaitable[Response]]:
    media_type, _ = guess_type(file.name)
    content = cache(file.read_bytes)

    async def endpoint() -> Response:
        # A browser requests the file again after a day.
        return Response(content(), headers={"Cache-Control": "public, max-age=86400"}, media_type=media_type)

    return endpoint
