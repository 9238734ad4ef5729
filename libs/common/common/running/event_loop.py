"""Measures the delay of the event loop: a blocked loop misses heartbeats, leases and health checks."""

import asyncio
import time

from prometheus_client import Gauge

from common.pauses import pause

_INTERVAL_SECONDS = 0.5
_lag = Gauge("event_loop_lag_seconds", "Delay of the event loop in seconds: the recent maximum")


async def watch_event_loop(stopping: asyncio.Event) -> None:
    """Measure until `stopping` is set. The gauge decays slowly, so that a scrape sees the delays since the last one."""
    worst = 0.0
    while not stopping.is_set():
        started = time.monotonic()
        await pause(stopping, _INTERVAL_SECONDS)
        worst = max(time.monotonic() - started - _INTERVAL_SECONDS, worst * 0.9, 0.0)
        _lag.set(worst)
