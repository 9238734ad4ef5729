"""Fair shares of a limited number of places, such as the connections of a pool, among their users (ADR 32)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from prometheus_client import Counter, Gauge

from common.database.failures import DatabaseUnavailable
from common.errors import Code, Problem

_waiting_requests = Gauge("waiting_requests", "Requests that wait for their caller's share of a resource", ["resource"])
_refused_waits = Counter(
    "refused_waits_total", "Requests that were refused: too many of one caller waited, or one too long", ["resource"]
)


class FairShares:
    """`places`, of which one owner may take the part `share` of those that the others leave, and always one.

    So one owner alone never takes all, and the next one finds a free place, whatever the first one waits for. A place
    that becomes free goes to the waiting owner with the fewest places; among equals, to the one that was served least
    recently. At most `waiting_limit` requests of an owner wait, for at most `seconds`.
    """

    def __init__(self, resource: str, places: int, *, share: float, waiting_limit: int, seconds: float) -> None:
        self._places = places
        self._share = share
        self._waiting_limit = waiting_limit
        self._seconds = seconds
        self._taken = 0
        self._held: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}  # in the order in which they were served
        self._number_waiting = _waiting_requests.labels(resource)
        self._refused = _refused_waits.labels(resource)

    def take_free(self, owner: Hashable) -> bool:
        """Take a place if the owner may have one now; False if it would have to wait."""
        if (self._waiting and owner in self._waiting) or not self._may_take(owner):
            return False
        self._give(owner)
        return True

    def give_back(self, owner: Hashable) -> None:
        self._taken -= 1
        held = self._held[owner] - 1
        if held:
            self._held[owner] = held
        else:
            del self._held[owner]
        if self._waiting:
            self._serve()

    @asynccontextmanager
    async def place_of(self, owner: Hashable) -> AsyncIterator[None]:
        """A place during the block, after a wait if necessary."""
        if not self.take_free(owner):
            await self.wait(owner)
        try:
            yield
        finally:
            self.give_back(owner)

    def _may_take(self, owner: Hashable) -> bool:
        if self._taken >= self._places:
            return False
        held = self._held.get(owner, 0)
        return held == 0 or held < int(self._share * (self._places - self._taken + held))

    def _give(self, owner: Hashable) -> None:
        self._held[owner] = self._held.get(owner, 0) + 1
        self._taken += 1

    async def wait(self, owner: Hashable) -> None:
        """Wait for a place after `take_free` returned False. Raises `Problem` RATE_LIMITED when too many of the owner's
        requests wait, and `DatabaseUnavailable`."""
        queue = self._waiting.get(owner)
        if queue is not None and len(queue) >= self._waiting_limit:
            self._refused.inc()
            message = f"More than {self._waiting_limit} of your requests wait; send fewer at once."
            raise Problem(Code.RATE_LIMITED, message, {"limit": self._waiting_limit}, retry_after=1)
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(place)
        self._number_waiting.inc()
        try:
            async with asyncio.timeout(self._seconds):
                await place
        except BaseException as error:
            self._abandon(owner, place)
            if not isinstance(error, TimeoutError):
                raise
            self._refused.inc()
            raise DatabaseUnavailable(f"no free place within {self._seconds:g} s") from error
        finally:
            self._number_waiting.dec()

    def _abandon(self, owner: Hashable, place: "asyncio.Future[None]") -> None:
        if place.done() and not place.cancelled():  # given in the same moment
            self.give_back(owner)
        elif place in (queue := self._waiting.get(owner, deque())):
            queue.remove(place)
            if not queue:
                del self._waiting[owner]

    def _serve(self) -> None:
        while owners := [each for each in self._waiting if self._may_take(each)]:
            owner = min(owners, key=lambda each: self._held.get(each, 0))
            queue = self._waiting.pop(owner)
            place = queue.popleft()
            if queue:
                self._waiting[owner] = queue
            if not place.done():  # its request was cancelled in this moment
                self._give(owner)
                place.set_result(None)
