"""Puts returns together: which application serves it, what it consumes, what it needs to know."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from common.component import Component
from common.messaging.kafka.topics import dead_letter_topic
from common.service import Runtime, Service

from returns.events import ORDERS_TOPIC, REFUNDS_TOPIC, RETURNS_TOPIC
from returns.settings import ReturnsSettings
from returns.tables import metadata, return_counts

if TYPE_CHECKING:
    from common.messaging.incoming.subscriber import EventHandler
    from fastapi import FastAPI


def gateway(runtime: Runtime[ReturnsSettings]) -> "FastAPI":
    from common.edge.gateway import create_gateway

    from returns.routes import router
    from returns.schemas import MetricsResponse
    from returns.use_cases import DeliveryWait, count_returns

    app = create_gateway(runtime, [router], counts=count_returns, metrics=MetricsResponse)
    app.state.return_window_days = runtime.settings.return_window_days
    app.state.delivery_wait = DeliveryWait(
        runtime.pool,
        seconds=runtime.settings.eligibility_wait_seconds,
        limit=runtime.settings.eligibility_wait_limit,
    )
    return app


def event_handlers(runtime: Runtime[ReturnsSettings]) -> Mapping[str, "EventHandler[Any]"]:
    from returns.consumer import EVENT_HANDLERS

    return EVENT_HANDLERS


def consumer(runtime: Runtime[ReturnsSettings]) -> Iterable[Component]:
    from common.messaging.incoming.subscriber import Subscriber

    return [
        Subscriber(
            runtime.pool,
            runtime.settings.kafka_bootstrap,
            group="returns",
            topics=[ORDERS_TOPIC, REFUNDS_TOPIC],
            handlers=event_handlers(runtime),
        ).component
    ]


SERVICE = Service(
    name="returns",
    settings=ReturnsSettings,
    metadata=metadata,
    topics=(RETURNS_TOPIC, ORDERS_TOPIC, REFUNDS_TOPIC, dead_letter_topic("returns")),
    gateway=gateway,
    components={"consumer": consumer},
    event_handlers=event_handlers,
    counts=return_counts,
)
