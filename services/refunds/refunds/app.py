"""The composition root of refunds: its roles, the topics and the settings of each."""

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from common.service import OperatorCommand, Runtime, Service
from common.settings import WrongSetting

from refunds.events import ORDERS_TOPIC, REFUNDS_TOPIC, RETURNS_TOPIC
from refunds.settings import RefundsSettings
from refunds.tables import metadata, refund_counts

if TYPE_CHECKING:
    import asyncio

    from common.jobs.handler import JobHandler
    from common.messaging.incoming.records import Handlers
    from common.reconciliation.check import Check
    from fastapi import FastAPI
    from sqlalchemy import ColumnElement, Table

    from refunds.payment_gateway.adyen import AdyenGateway
    from refunds.payment_gateway.stripe import StripeGateway
    from refunds.routes import WebhookReader


def gateway(runtime: Runtime[RefundsSettings]) -> "FastAPI":
    from common.edge.gateway import create_gateway

    from refunds.routes import router, timelines, webhook_router
    from refunds.use_cases.requesting import REFUND_NOT_ALLOWED

    return create_gateway(
        runtime,
        [router, webhook_router(runtime.settings.payment_gateway, _webhook_reader(runtime.settings)), timelines],
        entities="refunds",
        count_by_status=refund_counts.by_status,
        error_codes=[REFUND_NOT_ALLOWED],
    )


def event_handlers(_settings: RefundsSettings) -> "Handlers":
    from refunds.consumer import EVENT_HANDLERS

    return EVENT_HANDLERS


@asynccontextmanager
async def job_handlers(settings: RefundsSettings) -> "AsyncIterator[Iterable[JobHandler]]":
    from common.mail.mailer import Mailer

    from refunds.worker.event_job import EventJob
    from refunds.worker.mail_job import MailJob
    from refunds.worker.refund_job import RefundJob

    async with aclosing(_payment_gateway(settings)) as payment_gateway:
        refund_job = RefundJob(
            payment_gateway,
            call_seconds=settings.payment_gateway_timeout_seconds,
            concurrency=settings.payment_gateway_concurrency,
        )
        yield [refund_job, EventJob(), MailJob(Mailer(settings))]


async def _sweep(runtime: Runtime[RefundsSettings], stopping: "asyncio.Event") -> None:
    from refunds.worker.sweep import sweep_regularly

    settings = runtime.settings
    async with aclosing(_payment_gateway(settings)) as payment_gateway:
        await sweep_regularly(runtime.pool, payment_gateway, settings.payment_sweep_seconds, stopping)


def _webhook_reader(settings: RefundsSettings) -> "WebhookReader":
    """Without the provider's SDK, which the role `api` does not need."""
    secret = settings.payment_webhook_secret.get_secret_value()
    if settings.payment_gateway == "adyen":
        from refunds.payment_gateway import adyen_objects

        return lambda _headers, body, _now: adyen_objects.read_signed(body, secret)
    from refunds.payment_gateway import stripe_objects

    return partial(stripe_objects.read_signed, secret=secret)


@asynccontextmanager
async def checks(settings: RefundsSettings) -> "AsyncIterator[Iterable[Check]]":
    from refunds.checks import refund_checks

    if not settings.payment_gateway_key.get_secret_value().strip():
        yield refund_checks()
        return
    async with aclosing(_payment_gateway(settings)) as payment_gateway:
        yield refund_checks(payment_gateway)


def _payment_gateway(settings: RefundsSettings) -> "AdyenGateway | StripeGateway":
    """The adapter of the provider that the settings name."""
    from refunds.payment_gateway.adyen import AdyenGateway
    from refunds.payment_gateway.stripe import StripeGateway

    url, timeout = settings.payment_gateway_url, settings.payment_gateway_timeout_seconds
    api_key, secret = (
        settings.payment_gateway_key.get_secret_value(),
        settings.payment_webhook_secret.get_secret_value(),
    )
    if not api_key.strip():
        raise WrongSetting("PAYMENT_GATEWAY_KEY", "is needed by the worker")
    if settings.payment_gateway == "adyen":
        account = settings.payment_merchant_account
        return AdyenGateway(url, api_key, merchant_account=account, timeout=timeout, webhook_secret=secret)
    return StripeGateway(url, api_key, timeout=timeout, webhook_secret=secret)


def expired_rows(settings: RefundsSettings) -> "Iterable[tuple[Table, ColumnElement[bool]]]":
    from refunds.repository.retention import expired_events
    from refunds.use_cases.jobs import EVENT_JOB

    return [expired_events(settings.provider_event_retention_days, EVENT_JOB)]


def operator_commands() -> Iterable[OperatorCommand]:
    from refunds.use_cases.trial_balance import check_book

    meaning = "the sums of the book of payments by account; exit code 1 when debits, credits and balances differ"
    return [OperatorCommand("trial-balance", meaning, check_book, fails=lambda result: not result["is_zero"])]


SERVICE = Service(
    name="refunds",
    settings=RefundsSettings,
    metadata=metadata,
    gateway=gateway,
    publishes=(REFUNDS_TOPIC,),
    consumes=(ORDERS_TOPIC, RETURNS_TOPIC),
    event_handlers=event_handlers,
    job_handlers=job_handlers,
    worker_components={"sweep": _sweep},
    counts=refund_counts,
    operator_commands=operator_commands,
    checks=checks,
    expired_rows=expired_rows,
)
