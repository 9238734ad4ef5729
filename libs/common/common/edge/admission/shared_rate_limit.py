"""A rate limit that the processes of a service share, of which each request usually needs no query (ADR 32)."""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context

import structlog
from prometheus_client import Counter

from common.component import Component, pause
from common.database.transactions import FailuresLogged, Pool, is_connection_failure, reading
from common.edge.admission.rate_limit import Allowance, TooManyRequests
from common.edge.admission.rate_limit_leases import VALID_SECONDS, Lease, lease

# A lease is at most this part of the limit: what one process holds, another cannot use for some seconds.
LARGEST_PART = 10
LEASING_SECONDS = 0.25
# After a failure, the limit of each process holds alone.
PAUSE_SECONDS = 5.0
# A caller beyond its limit causes one query in this time.
REFUSING_SECONDS = 1.0
_RETURNING_INTERVAL = 1.0

_log = structlog.get_logger(__name__)
_failures = Counter(
    "rate_limit_lease_failures_total", "Leases of the shared rate limit that failed: processes then limit alone"
)


class SharedRateLimit:
    """At most the limit in any 60 seconds over all processes; less by what other processes lease and do not use, for
    about three seconds. While the database does not answer in time, `take` returns None."""

    def __init__(self, pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._leases: dict[str, Lease] = {}
        self._leasing: dict[str, asyncio.Task[bool]] = {}
        self._waiting: dict[str, int] = {}
        self._pausing_until = 0.0

    async def take(self, client: str, limit: int) -> Allowance | None:
        """Count one request. Raises `Problem` RATE_LIMITED."""
        while True:
            now, held = self._clock(), self._leases.get(client)
            if held is not None and now < held.valid_until:
                if held.left:
                    held.left -= 1
                    return Allowance(limit, held.unleased + held.left, held.reset)
                if held.number == 0:
                    raise TooManyRequests(limit, held.reset)
            if now < self._pausing_until or not await self._renew(client, limit):
                return None

    async def give_back(self) -> None:
        """Return what is left of leases that are no longer valid, and forget them."""
        now = self._clock()
        for client, held in [each for each in self._leases.items() if now >= each[1].valid_until]:
            # While an earlier one was returned, a request may have renewed this one, which returned what was left.
            if self._leases.get(client) is held and client not in self._leasing:
                del self._leases[client]
                if held.left:
                    async with asyncio.timeout(LEASING_SECONDS), reading(self._pool) as connection:
                        await lease(connection, client, 0, 0, now, held)

    @property
    def component(self) -> Component:
        return Component("rate limit leases", self._return_regularly)

    async def _return_regularly(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await pause(stopping, _RETURNING_INTERVAL)
            with FailuresLogged(_log.debug, "leases not returned: they count as used"):
                await self.give_back()

    async def _renew(self, client: str, limit: int) -> bool:
        """Whether there is a new lease, made once for all requests that wait for it."""
        self._waiting[client] = self._waiting.get(client, 0) + 1
        try:
            leasing_task = self._leasing.get(client)
            if leasing_task is None:
                # Without the context of this request, whose caller may have used up its connections.
                leasing_task = asyncio.create_task(self._lease(client, limit), context=Context())
                self._leasing[client] = leasing_task
                leasing_task.add_done_callback(lambda _: self._leasing.pop(client))
            return await asyncio.shield(leasing_task)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    async def _lease(self, client: str, limit: int) -> bool:
        await asyncio.sleep(0)  # the requests of this moment are in `_waiting`
        old, now = self._leases.get(client), self._clock()
        # Twice as many as the last time, if they were used up; a rare caller leases one.
        size = 1 if old is None or old.left else 2 * old.number
        wanted = max(1, min(size, limit // LARGEST_PART), min(self._waiting.get(client, 1), limit))
        try:
            async with asyncio.timeout(LEASING_SECONDS), reading(self._pool) as connection:
                new = await lease(connection, client, limit, wanted, now, old)
        except Exception as error:
            if not is_connection_failure(error):
                raise
            _failures.inc()
            _log.warning("the shared rate limit is not available", reason=f"{type(error).__name__}: {error}")
            self._pausing_until = self._clock() + PAUSE_SECONDS
            self._leases.pop(client, None)  # what is left of it may be given back already
            return False
        if new.number == 0:
            new.valid_until = now + min(new.reset, REFUSING_SECONDS, VALID_SECONDS)
        self._leases[client] = new
        return True
