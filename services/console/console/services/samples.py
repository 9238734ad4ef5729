"""Throughput of the last minutes: the open metrics of every role, read every few seconds and kept in memory."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import httpx
import structlog

SECONDS = 5.0
KEPT = 120
_READ_SECONDS = 3.0
# The lines of /metrics that are counted, by the name of their chart: their beginning, and a label that they must have.
_COUNTERS: dict[str, tuple[str, str]] = {
    "requests": ("http_server_request_duration_seconds_count{", ""),
    "events published": ("outbox_published_total{", ""),
    "events processed": ("consumer_events_total{", 'outcome="accepted"'),
    "jobs done": ("job_attempts_total{", 'outcome="succeeded"'),
    "attempts failed": ("job_attempts_total{", 'outcome="failed"'),
}

Counts = dict[str, float]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chart:
    """`values` are per second, the newest last."""

    name: str
    values: Sequence[float]

    @property
    def newest(self) -> float:
        return self.values[-1] if self.values else 0.0

    @property
    def largest(self) -> float:
        return max(self.values, default=0.0)

    @property
    def points(self) -> str:
        """Of a line in a box of `KEPT` by 40, whose right end is now."""
        height = self.largest or 1.0
        first = KEPT - len(self.values)
        return " ".join(f"{first + i},{39 - 37 * value / height:.1f}" for i, value in enumerate(self.values))


@dataclass
class Samples:
    """`start` it inside the event loop, and `close` it at the end."""

    http: httpx.AsyncClient
    roles: Sequence[tuple[str, str]]
    _last: dict[str, tuple[float, Counts]] = field(default_factory=dict)
    _rates: deque[Counts] = field(default_factory=lambda: deque(maxlen=KEPT))
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None and self.roles:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    @property
    def charts(self) -> list[Chart]:
        return [Chart(name, [rates[name] for rates in self._rates]) for name in _COUNTERS]

    async def read(self) -> None:
        """One sample of all roles. A role that does not answer counts as idle."""
        rates = dict.fromkeys(_COUNTERS, 0.0)
        for per_role in await asyncio.gather(*(self._read(name, url) for name, url in self.roles)):
            for name, rate in per_role.items():
                rates[name] += rate
        self._rates.append(rates)

    async def _run(self) -> None:
        while True:
            try:
                await self.read()
            except Exception as error:  # the charts are the least important part of the console
                _log.warning("metrics could not be read", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(SECONDS)

    async def _read(self, role: str, url: str) -> Counts:
        """The rates since the last sample of this role. A counter that fell was reset by a restart."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                response = await self.http.get(f"{url}/metrics")
        except (httpx.TransportError, TimeoutError):
            return {}
        now, counts = time.monotonic(), counts_of(response.text.splitlines())
        before = self._last.get(role)
        self._last[role] = (now, counts)
        if before is None:
            return {}
        seconds = max(now - before[0], 0.001)
        return {name: max(0.0, count - before[1][name]) / seconds for name, count in counts.items()}


def counts_of(lines: Iterable[str]) -> Counts:
    counts = dict.fromkeys(_COUNTERS, 0.0)
    for line in lines:
        for name, (beginning, label) in _COUNTERS.items():
            if line.startswith(beginning) and label in line:
                counts[name] += float(line.rpartition(" ")[2])
    return counts
