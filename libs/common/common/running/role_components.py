"""The components of each role but `api`. Their modules are imported here only where the role needs them."""

import asyncio
import os
import socket
from collections.abc import Iterable
from functools import partial
from typing import Any

from common.component import Component
from common.database.listener import Listener
from common.database.notifier import Channel
from common.service import JobHandlers, Runtime

# PostgreSQL plans the relay's statements while nearly nothing is pending, and keeps the plan for a million rows. Only
# an index in its order is good for both: with a sequential or a bitmap scan the relay published a thousand events a
# second, or a fifth of its rate (ADR 4).
RELAY_SERVER_SETTINGS = {"enable_seqscan": "off", "enable_bitmapscan": "off"}


def role_components(role: str, runtime: Runtime[Any]) -> Iterable[Component]:
    """The role is `consumer`, `worker`, `relay` or `reconciler`."""
    match role:
        case "consumer":
            return _consumer(runtime)
        case "worker" if runtime.service.job_handlers is not None:
            further = runtime.service.worker_components.items()
            return [
                Component("worker", partial(_run_worker, runtime, runtime.service.job_handlers)),
                *(Component(name, partial(run, runtime)) for name, run in further),
            ]
        case "relay":
            return _relay(runtime)
        case "reconciler":
            from common.operators.reconciliation import reconciler_components

            return reconciler_components(runtime)
    raise ValueError(f"{runtime.service.name} has no role {role}")


def _consumer(runtime: Runtime[Any]) -> Iterable[Component]:
    from common.messaging.incoming.subscriber import Subscriber

    service = runtime.service
    handlers = service.event_handlers(runtime.settings)
    bootstrap = runtime.settings.kafka_bootstrap
    return [
        Subscriber(runtime.pool, bootstrap, group=service.name, topics=service.consumes, handlers=handlers).component
    ]


async def _run_worker(runtime: Runtime[Any], job_handlers: JobHandlers[Any], stopping: asyncio.Event) -> None:
    from common.jobs.worker import Worker

    async with job_handlers(runtime.settings) as handlers:
        listener = _listener(runtime, Channel.JOBS, "worker")
        worker = Worker(runtime.pool, handlers, runtime.service.name, runtime.settings, listener=listener)
        await worker.run(stopping)


def _listener(runtime: Runtime[Any], channel: Channel, role: str) -> Listener:
    name = f"{runtime.service.name} {role} listener"
    return Listener(runtime.settings.database_url, channel, application_name=name)


def _relay(runtime: Runtime[Any]) -> Iterable[Component]:
    from common.audit.checkpoint import SigningKey
    from common.audit.checkpoint_store import CheckpointFolder
    from common.audit.sealer import Sealer
    from common.messaging.outgoing.relay import Relay
    from common.operators.auditor import verify_regularly
    from common.running.backlog import measure_backlog
    from common.running.purge import PurgeRule, purge_regularly, standard_rules

    settings = runtime.settings
    sealer = Sealer(
        runtime.pool,
        runtime.service.name,
        key=SigningKey.of(settings),
        store=CheckpointFolder.of(settings),
        seconds=settings.audit_seal_seconds,
    )
    measurement = runtime.service.measurement
    own_gauges = () if measurement is None else (measurement(settings),)
    rules = [*standard_rules(settings), *(PurgeRule(*each) for each in runtime.service.expired_rows(settings))]
    owner = f"{socket.gethostname()}:{os.getpid()}"
    counts = runtime.service.counts
    count_folding = [Component("counts", partial(counts.fold_regularly, runtime.pool))] if counts is not None else []
    return [
        Relay(
            runtime.pool,
            settings.kafka_bootstrap,
            owner,
            source=runtime.service.name,
            listener=_listener(runtime, Channel.EVENTS, "relay"),
        ).component,
        Component("backlog", partial(measure_backlog, runtime.pool, own_gauges=own_gauges)),
        Component("purger", partial(purge_regularly, runtime.pool, rules)),
        sealer.component,
        Component("auditor", partial(verify_regularly, runtime)),
        *count_folding,
    ]
