"""`GET /metrics` of a gateway: the contract's JSON metrics."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from typing_extensions import TypedDict

from common.access.auth import Role, allow
from common.database.statements import Connection
from common.edge.commands.query import read
from common.edge.observation.response_times import Performance, ResponseTimes
from common.edge.routing.guarded_route import GuardedRoute

CountByStatus = Callable[[Connection], Awaitable[Mapping[Any, int]]]


class EntityCounts(TypedDict):
    total: int
    by_status: dict[str, int]


def metrics_router(entities: str, count_by_status: CountByStatus, response_times: ResponseTimes) -> APIRouter:
    """Numbers of `entities` (such as `vases`, the name in the JSON), and response times of the last minutes."""
    router = APIRouter(route_class=GuardedRoute, tags=["Health"])
    new_type: Any = TypedDict  # mypy accepts literal names only
    model = new_type("MetricsResponse", {entities: EntityCounts, "performance": Performance})

    async def metrics(connection: Connection) -> dict[str, object]:
        by_status = await count_by_status(connection)
        counts = {"total": sum(by_status.values()), "by_status": by_status}
        return {entities: counts, "performance": await response_times.performance(connection)}

    @router.get("/metrics", operation_id="getMetrics", responses={200: {"model": model}})
    @allow(*Role)
    async def get_metrics(request: Request) -> Response:
        """Exact counts by status, and response times of all processes of the service over the last five minutes."""
        return await read(request, metrics)

    return router
