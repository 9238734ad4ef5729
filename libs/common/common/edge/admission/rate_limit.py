"""Rate limit: requests of one client in any 60 seconds, counted in memory, so the limit is per process."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from common.errors import Code, Problem

WINDOW_SECONDS = 60.0
REMEMBERED_CLIENTS = 10_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """The rest of a client's limit. `reset` is the time in seconds until the oldest request leaves the window."""

    limit: int
    remaining: int
    reset: float

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """As draft-ietf-httpapi-ratelimit-headers-11 has them."""
        return (
            (b"ratelimit-policy", b'"default";q=%d;w=%d' % (self.limit, WINDOW_SECONDS)),
            (b"ratelimit", b'"default";r=%d;t=%d' % (self.remaining, -(-self.reset // 1))),
        )


class TooManyRequests(Problem):
    """RATE_LIMITED. `allowance` has nothing left."""

    def __init__(self, limit: int, retry_after: float) -> None:
        details = {"limit": limit, "window_seconds": int(WINDOW_SECONDS)}
        message = f"More than {limit} requests in a minute."
        super().__init__(Code.RATE_LIMITED, message, details, retry_after=retry_after)
        self.allowance = Allowance(limit, 0, retry_after)


class RateLimit:
    """An exact sliding window: the times of each client's last requests, oldest first. A limit of 0 admits all.

    Of more than `REMEMBERED_CLIENTS` clients, the one whose last request is the oldest is forgotten.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()  # in order of the last request

    def hit(self, client: str, own_limit: int | None = None) -> Allowance | None:
        """Count one request; None when there is no limit. Raises `Problem` RATE_LIMITED when the window is full.

        `own_limit` is the client's, in place of the common one.
        """
        limit = self._limit if own_limit is None else own_limit
        if limit == 0:
            return None
        now = self._clock()
        hits = self._recent(client, now)
        _check(hits, now, limit)
        hits.append(now)
        return Allowance(limit, limit - len(hits), hits[0] + WINDOW_SECONDS - now)

    def check(self, client: str) -> None:
        """As `hit`, without counting anything."""
        if client in self._hits:
            now = self._clock()
            _check(self._recent(client, now), now, self._limit)

    def is_full(self, client: str) -> bool:
        """Whether `hit` would refuse."""
        if self._limit == 0 or client not in self._hits:
            return False
        return len(self._recent(client, self._clock())) >= self._limit

    def __len__(self) -> int:
        """The number of clients in memory."""
        return len(self._hits)

    def _recent(self, client: str, now: float) -> deque[float]:
        hits = self._hits.get(client)
        if hits is None:
            if len(self._hits) >= REMEMBERED_CLIENTS:
                self._make_room(now)
            hits = self._hits[client] = deque()
        else:
            self._hits.move_to_end(client)
        while hits and hits[0] <= now - WINDOW_SECONDS:
            hits.popleft()
        return hits

    def _make_room(self, now: float) -> None:
        """Forget the client whose last request is the oldest, and all clients without requests in their windows."""
        self._hits.popitem(last=False)
        while self._hits:
            oldest = next(iter(self._hits.values()))
            if oldest and oldest[-1] > now - WINDOW_SECONDS:
                return
            self._hits.popitem(last=False)


def _check(hits: deque[float], now: float, limit: int) -> None:
    if len(hits) >= limit:
        raise TooManyRequests(limit, hits[0] + WINDOW_SECONDS - now)
