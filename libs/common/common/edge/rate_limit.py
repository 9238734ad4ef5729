"""How many requests one client may make in any 60 seconds; kept in memory, so the limit is per process."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import Code, Problem

WINDOW_SECONDS = 60.0
_SWEEP_ABOVE = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of the window. `reset` is the time in seconds until the oldest counted request leaves it."""

    limit: int
    remaining: int
    reset: float

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """As draft-ietf-httpapi-ratelimit-headers-11 has them."""
        return (
            (b"ratelimit-policy", b'"default";q=%d;w=%d' % (self.limit, WINDOW_SECONDS)),
            (b"ratelimit", b'"default";r=%d;t=%d' % (self.remaining, -(-self.reset // 1))),
        )


class RateLimit:
    """An exact moving window: the times of each client's last requests, oldest first. A limit of 0 admits all."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._hits: dict[str, deque[float]] = {}

    def hit(self, client: str) -> Allowance | None:
        """Count one request; None when there is no limit. Raises `Problem` RATE_LIMITED when the window is full."""
        if self._limit == 0:
            return None
        now = self._clock()
        hits = self._recent(client, now)
        self._check(hits, now)
        hits.append(now)
        return Allowance(self._limit, self._limit - len(hits), hits[0] + WINDOW_SECONDS - now)

    def check(self, client: str) -> None:
        """As `hit`, without counting anything."""
        if client in self._hits:
            now = self._clock()
            self._check(self._recent(client, now), now)

    def _check(self, hits: deque[float], now: float) -> None:
        if len(hits) >= self._limit:
            raise Problem(
                Code.RATE_LIMITED,
                f"More than {self._limit} requests in a minute.",
                {"limit": self._limit, "window_seconds": int(WINDOW_SECONDS)},
                retry_after=hits[0] + WINDOW_SECONDS - now,
            )

    def __len__(self) -> int:
        """How many clients are remembered."""
        return len(self._hits)

    def _recent(self, client: str, now: float) -> deque[float]:
        hits = self._hits.get(client)
        if hits is None:
            if len(self._hits) >= _SWEEP_ABOVE:
                self._forget_idle_clients(now)
            hits = self._hits[client] = deque()
        while hits and hits[0] <= now - WINDOW_SECONDS:
            hits.popleft()
        return hits

    def _forget_idle_clients(self, now: float) -> None:
        self._hits = {client: hits for client, hits in self._hits.items() if hits and hits[-1] > now - WINDOW_SECONDS}
