"""The composition root of refunds: its roles, the topics and the settings of each."""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from common.component import Component
from common.service import Runtime, Service
from common.settings import WrongSetting

from refunds.events import ORDERS_TOPIC, REFUNDS_TOPIC, RETURNS_TOPIC
from refunds.settings import RefundsSettings
from refunds.tables import metadata, refund_counts

if TYPE_CHECKING:
    from common.messaging.incoming.records import Handlers
    from fastapi import FastAPI


def gateway(runtime: Runtime[RefundsSettings]) -> "FastAPI":
    from common.edge.gateway import create_gateway

    from refunds.routes import router

    return create_gateway(runtime, [router], entities="refunds", count_by_status=refund_counts.by_status)


def event_handlers(_settings: RefundsSettings) -> "Handlers":
    from refunds.consumer import EVENT_HANDLERS

    return EVENT_HANDLERS


def worker(runtime: Runtime[RefundsSettings]) -> Iterable[Component]:
    from common.jobs.worker import Worker
    from common.mail.mailer import Mailer

    from refunds.payment_gateway import StripeGateway
    from refunds.use_cases.commands import MAIL_JOB, REFUND_JOB
    from refunds.worker import ConfirmationJob, RefundJob

    settings = runtime.settings
    if not settings.payment_gateway_key.get_secret_value().strip():
        raise WrongSetting("PAYMENT_GATEWAY_KEY", "is needed by the worker")
    payment_gateway = StripeGateway(
        settings.payment_gateway_url,
        settings.payment_gateway_key.get_secret_value(),
        timeout=settings.payment_gateway_timeout_seconds,
    )
    mailer = Mailer.from_settings(settings)
    jobs = Worker(
        runtime.pool,
        {
            REFUND_JOB: RefundJob(runtime.pool, payment_gateway).handler,
            MAIL_JOB: ConfirmationJob(runtime.pool, mailer).handler,
        },
        retry_unit_seconds=settings.retry_unit_seconds,
        lease_seconds=settings.job_lease_seconds,
    )

    async def run(stopping: asyncio.Event) -> None:
        try:
            await jobs.run(stopping)
        finally:
            await payment_gateway.close()

    return [Component("worker", run)]


SERVICE = Service(
    name="refunds",
    settings=RefundsSettings,
    metadata=metadata,
    gateway=gateway,
    publishes=(REFUNDS_TOPIC,),
    consumes=(ORDERS_TOPIC, RETURNS_TOPIC),
    event_handlers=event_handlers,
    worker=worker,
    counts=refund_counts,
)
