"""The operators' command that explains an order as the route does, also while the gateway of orders does not run."""

from typing import Any

import msgspec
from common.database.statements import Connection
from common.edge.pages.timeline_routes import service_timeline
from common.service import Service

from orders.explanation.evidence import Limits, Silence
from orders.schemas.timelines import explanation_response
from orders.timeline_client import TimelineClient
from orders.use_cases.explaining import Answers, explain, require_order_id
from orders.use_cases.timelines import timeline_subject

_WITHOUT_KEY = Silence("refused", "it was not asked: the setting EXPLAIN_API_KEY is empty")


async def explain_order(
    connection: Connection, service: Service[Any], order: str, client: TimelineClient, key: str, limits: Limits
) -> dict[str, Any]:
    """`order` is its id or its number; the other services are asked with the API key, if there is one. The transaction
    of the command is open meanwhile: it locks nothing, and each service has a time limit. Raises `Problem` NOT_FOUND.
    """
    order_id = await require_order_id(connection, order)
    timeline = await service_timeline(connection, service, timeline_subject, order_id)
    answers: Answers = dict.fromkeys(client.services, _WITHOUT_KEY)
    if key:
        answers = await client.fetch(order_id, {"authorization": f"Bearer {key}"})
        await client.close()
    explained: dict[str, Any] = msgspec.to_builtins(explanation_response(explain(timeline, answers, limits)))
    return explained
