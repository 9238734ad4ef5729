"""`/api/v1/ops/timelines/{key}`: what a service knows of one key, from all its tables (ADR 42)."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request, Response

from common.access.auth import Role
from common.database.statements import Connection
from common.edge.commands.query import read
from common.edge.routing.router import Router
from common.messaging.dead_letters import dead_letter_topic
from common.operators.timeline import TimelineSubject, read_timeline
from common.operators.timeline_results import Timeline
from common.service import Runtime, Service

FindSubject = Callable[[Connection, UUID], Awaitable[TimelineSubject]]


def timeline_router(find_subject: FindSubject, *, returns: type[Timeline], description: str) -> Router:
    """The route of a service, which declares by `find_subject` what belongs to a key; `returns` has its own members."""
    router = Router("/ops/timelines", tag="Operations")

    # Nothing known is an answer too: it shows whether the consumer has read everything.
    @router.route(
        "GET",
        "/{key}",
        roles=Role.staff(),
        returns=returns,
        names_object=False,
        operation_id="getTimeline",
        description=description,
    )
    async def get_timeline(
        request: Request, key: Annotated[UUID, Path(description="The key of the records.")]
    ) -> Response:
        return await read(request, service_timeline, Runtime.of(request).service, find_subject, key)

    return router


async def service_timeline(
    connection: Connection, service: Service[Any], find_subject: FindSubject, key: UUID
) -> dict[str, Any]:
    """The timeline as the route answers with it."""
    published = (*service.publishes, dead_letter_topic(service.name))
    subject = await find_subject(connection, key)
    return await read_timeline(connection, str(key), subject, published=published, consumed=service.consumes)
