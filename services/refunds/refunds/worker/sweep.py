"""The regular sweep of the provider's events: it finds what no webhook brought (ADR 36)."""

import asyncio
from datetime import timedelta

import structlog
from common.component import pause
from common.database.transactions import FailuresLogged, Pool, reading, transaction
from prometheus_client import Counter

from refunds.payment_gateway.port import GatewayFailure, PaymentGateway
from refunds.repository import provider_events
from refunds.use_cases.provider_events import receive

_log = structlog.get_logger(__name__)
_found = Counter("gateway_events_swept_total", "Events of the payment provider that a sweep found before any webhook")


async def sweep_regularly(pool: Pool, gateway: PaymentGateway, seconds: float, stopping: asyncio.Event) -> None:
    """Of several workers, one sweeps in each interval."""
    while not stopping.is_set():
        with FailuresLogged(_log.warning, "the sweep of the provider's events waits for the database"):
            await sweep(pool, gateway, timedelta(seconds=seconds))
        await pause(stopping, seconds)


async def sweep(pool: Pool, gateway: PaymentGateway, interval: timedelta = timedelta(0)) -> int:
    """Receive the events since the last sweep, if that is longer ago than the interval; returns how many are new."""
    async with reading(pool) as connection:
        # A little less: otherwise every second sweep would come an instant too early.
        is_due, cursor = await provider_events.begin_sweep(connection, gateway.name, interval * 0.9)
    if not is_due:
        return 0
    try:
        events, next_cursor = await gateway.events_since(cursor)
    except GatewayFailure as failure:
        _log.warning("the provider's events cannot be read", error=str(failure))
        return 0
    new = 0
    for event in events:
        async with transaction(pool) as connection:
            new += await receive(connection, gateway.name, event)
    async with reading(pool) as connection:
        await provider_events.end_sweep(connection, gateway.name, next_cursor)
    _found.inc(new)
    return new
