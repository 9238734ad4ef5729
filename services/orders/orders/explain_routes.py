"""The HTTP routes that explain an order: its timeline at orders, and the explanation over all services (ADR 42)."""

from typing import Annotated

from common.access.auth import Caller, Role
from common.edge.commands.query import json_response
from common.edge.pages.timeline_routes import service_timeline, timeline_router
from common.edge.requests.headers import single_header
from common.edge.routing.router import Router
from common.service import Runtime
from fastapi import Path, Request, Response

from orders.explanation.evidence import Limits
from orders.schemas.timelines import ExplanationResponse, OrdersTimeline, explanation_response
from orders.timeline_client import TimelineClient
from orders.use_cases.explaining import explain, require_order_id
from orders.use_cases.timelines import timeline_subject

# The caller's own, with which the other services are asked.
_CREDENTIALS = ("authorization", "x-api-key")

router = Router("/orders", tag="Orders")
timelines = timeline_router(
    timeline_subject,
    returns=OrdersTimeline,
    description="What orders knows of the order with this id: its state and payments, states and refused attempts, "
    "events with their delivery, and whether the consumer is behind.",
)


@router.route(
    "GET", "/{order_id}/explain", roles=Role.staff(), returns=ExplanationResponse, operation_id="explainOrder"
)
async def explain_order(
    request: Request,
    order_id: Annotated[
        str, Path(max_length=100, pattern="^[!-~]+$", description="The id of the order, or its number.")
    ],
) -> Response:
    """Why the order is where it is: what it waits for, since when, what happens next, and what a person can do.

    The timeline has what happened in all four services. They are asked with the caller's own key; where one does not
    answer in time, `services` says so, and what only it knows is missing.
    """
    runtime = Runtime.of(request)
    async with runtime.reading() as connection:
        found = await require_order_id(connection, order_id)
        timeline = await service_timeline(connection, runtime.service, timeline_subject, found)
    client: TimelineClient = request.app.state.timeline_client
    answers = await client.fetch(found, _headers(request))
    limits: Limits = request.app.state.result_limits
    return json_response(explanation_response(explain(timeline, answers, limits)))


def _headers(request: Request) -> dict[str, str]:
    values = {name: single_header(request.scope, name.encode()) for name in _CREDENTIALS}
    given = {name: value.decode("latin-1") for name, value in values.items() if value is not None}
    return {**given, "traceparent": Caller.of(request).traceparent}
