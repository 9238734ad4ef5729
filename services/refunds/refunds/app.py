"""The composition root of refunds: its roles, the topics and the settings of each."""

from collections.abc import Iterable
from contextlib import aclosing
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

    from refunds.payment_gateway.stripe import StripeGateway


def gateway(runtime: Runtime[RefundsSettings]) -> "FastAPI":
    from common.edge.gateway import create_gateway

    from refunds.routes import router

    return create_gateway(runtime, [router], entities="refunds", count_by_status=refund_counts.by_status)


def event_handlers(_settings: RefundsSettings) -> "Handlers":
    from refunds.consumer import EVENT_HANDLERS

    return EVENT_HANDLERS


def worker(runtime: Runtime[RefundsSettings]) -> Iterable[Component]:
    from common.mail.mailer import Mailer
    from common.running.worker_role import worker_component

    from refunds.worker import MailJob, RefundJob

    payment_gateway = _payment_gateway(runtime.settings)
    handlers = [RefundJob(payment_gateway), MailJob(Mailer.from_settings(runtime.settings))]
    return [worker_component(runtime, handlers, aclosing(payment_gateway))]


def _payment_gateway(settings: RefundsSettings) -> "StripeGateway":
    from refunds.payment_gateway.stripe import StripeGateway

    api_key = settings.payment_gateway_key.get_secret_value()
    if not api_key.strip():
        raise WrongSetting("PAYMENT_GATEWAY_KEY", "is needed by the worker")
    return StripeGateway(settings.payment_gateway_url, api_key, timeout=settings.payment_gateway_timeout_seconds)


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
