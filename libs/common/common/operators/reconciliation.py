"""The role `reconciler`: the checks of a service in rounds, and the jobs that send its alerts."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from common.component import Component
from common.database.statements import Connection
from common.errors import Code, Problem
from common.jobs.alert_job import AlertJob
from common.jobs.alerts import Alerts
from common.jobs.worker import Worker
from common.reconciliation.check import Check
from common.reconciliation.reconciler import Reconciler
from common.reconciliation.reports import Reports
from common.reconciliation.table_checks import table_checks
from common.reconciliation.transport_checks import EventsAreConsumed, EventsAreOnKafka
from common.service import Runtime

# An alert may wait so long, so that an idle process asks seldom.
LONGEST_IDLE = 2.0


def reconciler_components(runtime: Runtime[Any]) -> Iterable[Component]:
    components = [Component("reconciler", partial(_run_reconciler, runtime))]
    if runtime.settings.ops_email or runtime.settings.ops_webhook_url:
        components.append(Component("alerts", partial(_run_alerts, runtime)))
    return components


async def reconcile_once(connection: Connection, runtime: Runtime[Any]) -> dict[str, Any]:
    """One round of all checks. Raises `Problem` CONFLICT while another process runs one."""
    async with _reconciler(runtime) as reconciler:
        number = await reconciler.run_round(connection)
    if number is None:
        raise Problem(Code.CONFLICT, "Another process reconciles at this moment.")
    return {"findings": number}


async def _run_reconciler(runtime: Runtime[Any], stopping: asyncio.Event) -> None:
    async with _reconciler(runtime) as reconciler:
        await reconciler.run(stopping)


async def _run_alerts(runtime: Runtime[Any], stopping: asyncio.Event) -> None:
    handlers = [AlertJob(runtime.settings)]
    worker = Worker(runtime.pool, handlers, runtime.service.name, runtime.settings, longest_idle=LONGEST_IDLE)
    await worker.run(stopping)


@asynccontextmanager
async def _reconciler(runtime: Runtime[Any]) -> AsyncIterator[Reconciler]:
    service, settings = runtime.service, runtime.settings
    reports = Reports(next(iter(service.publishes), None), service.event_counter, Alerts.of(service.name, settings))
    common_checks = [*table_checks(), *_transport_checks(runtime)]
    if service.checks is None:
        yield Reconciler(runtime.pool, common_checks, reports, settings.reconcile_seconds)
        return
    async with service.checks(settings) as checks:
        yield Reconciler(runtime.pool, [*common_checks, *checks], reports, settings.reconcile_seconds)


def _transport_checks(runtime: Runtime[Any]) -> Iterable[Check]:
    service, bootstrap = runtime.service, runtime.settings.kafka_bootstrap
    if service.publishes:
        yield EventsAreOnKafka(bootstrap, service.publishes)
    if service.consumes:
        handlers = service.event_handlers(runtime.settings)
        yield EventsAreConsumed(bootstrap, service.consumes, service.name, handlers)
