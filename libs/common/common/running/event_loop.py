"""How late the event loop is: a loop that is blocked misses heartbeats, leases and health checks."""

import asyncio
import time
from contextlib import suppress

from prometheus_client import Gauge

_INTERVAL_SECONDS = 0.5
_lag = Gauge("event_loop_lag_seconds", "How much later than asked a sleeping task was woken, lately at most")


async def watch_event_loop(stopping: asyncio.Event) -> None:
    """Measure until `stopping` is set. The gauge falls slowly, so that a scrape still sees what was a while ago."""
    worst = 0.0
    while not stopping.is_set():
        asleep_since = time.monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _INTERVAL_SECONDS)
        worst = max(time.monotonic() - asleep_since - _INTERVAL_SECONDS, worst * 0.9, 0.0)
        _lag.set(worst)
