"""The composition root of returns: its roles, the topics and the settings of each."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from common.service import Runtime, Service

from returns.events import ORDERS_TOPIC, REFUNDS_TOPIC, RETURNS_TOPIC
from returns.settings import ReturnsSettings
from returns.tables import metadata, return_counts, return_events

if TYPE_CHECKING:
    from common.database.statements import Connection
    from common.jobs.handler import JobHandler
    from common.messaging.incoming.records import Handlers
    from common.reconciliation.check import Check
    from fastapi import FastAPI


def gateway(runtime: Runtime[ReturnsSettings]) -> "FastAPI":
    from common.edge.gateway import create_gateway
    from common.edge.pages.timeline_routes import timeline_router

    from returns.domain.four_eyes import FourEyes
    from returns.routes import router
    from returns.schemas import ReturnsTimeline
    from returns.use_cases.delivery_wait import DeliveryWait
    from returns.use_cases.opening import RETURN_NOT_ALLOWED
    from returns.use_cases.timelines import timeline_subject

    four_eyes = FourEyes.parse(runtime.settings.four_eyes_above)
    timelines = timeline_router(
        partial(timeline_subject, four_eyes, runtime.settings.review_policy),
        returns=ReturnsTimeline,
        description="What returns knows of the order with this id: its return, the copy of the order, jobs with their "
        "attempts, events with their delivery, and whether the consumer is behind.",
    )
    app = create_gateway(
        runtime,
        [router, timelines],
        entities="returns",
        count_by_status=return_counts.by_status,
        error_codes=[RETURN_NOT_ALLOWED],
    )
    app.state.four_eyes = four_eyes
    app.state.review_policy = runtime.settings.review_policy
    app.state.return_window_days = runtime.settings.return_window_days
    app.state.delivery_wait = DeliveryWait(
        runtime.reading,
        seconds=runtime.settings.eligibility_wait_seconds,
        limit=runtime.settings.eligibility_wait_limit,
    )
    return app


def event_handlers(_settings: ReturnsSettings) -> "Handlers":
    from returns.consumer import EVENT_HANDLERS

    return EVENT_HANDLERS


@asynccontextmanager
async def checks(settings: ReturnsSettings) -> "AsyncIterator[Iterable[Check]]":
    from returns.checks import return_checks

    yield return_checks(settings.kafka_bootstrap, timedelta(minutes=settings.refund_limit_minutes))


@asynccontextmanager
async def job_handlers(settings: ReturnsSettings) -> "AsyncIterator[Iterable[JobHandler]]":
    from common.mail.mailer import Mailer

    from returns.domain.four_eyes import FourEyes
    from returns.worker.review_job import ReviewJob

    to = settings.review_email or settings.ops_email
    yield [ReviewJob(Mailer(settings), to, settings.review_policy, FourEyes.parse(settings.four_eyes_above))]


def measurement(settings: ReturnsSettings) -> "Callable[[Connection], Awaitable[None]]":
    from returns.use_cases.reviews import review_gauges

    return review_gauges(settings.review_policy)


SERVICE = Service(
    name="returns",
    settings=ReturnsSettings,
    metadata=metadata,
    gateway=gateway,
    publishes=(RETURNS_TOPIC,),
    consumes=(ORDERS_TOPIC, REFUNDS_TOPIC),
    event_handlers=event_handlers,
    job_handlers=job_handlers,
    measurement=measurement,
    counts=return_counts,
    checks=checks,
    event_counter=return_events,
)
