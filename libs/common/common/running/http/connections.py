"""The connections of one server: their number, their deadlines, and which of them end to make room for a new one."""

import asyncio
import heapq
from typing import Protocol

from prometheus_client import Counter, Gauge

from common.running.http.limits import HttpLimits

NEVER = float("inf")

_open_connections = Gauge("http_server_connections", "Open connections of clients")
ended = Counter(
    "http_server_ended_connections",
    "Connections that the server ended by a limit of its own or because the request was malformed",
    ["reason"],
)


class Connection(Protocol):
    """A client's connection, as far as its limits go."""

    @property
    def waiting_since(self) -> float:
        """The server's time since which it waits for the client; NEVER while it does not."""

    @property
    def unsent_bytes(self) -> int: ...

    def check(self, now: float) -> bool:
        """End the connection, or its request, if the deadline is over; returns whether it was."""

    def make_room(self) -> None:
        """End immediately, for the sake of another connection."""

    def abort_unread(self, reason: str) -> None:
        """End immediately, although a part of the answer is not sent."""


class Connections:
    """`now` is the server's own time in seconds, which `sweep_regularly` updates. It stops while the event loop is
    blocked: no client is ended for input that the server had no time to read."""

    def __init__(self, limits: HttpLimits) -> None:
        self.limits = limits
        self.now = 0.0
        self.is_stopping = False
        self._open: set[Connection] = set()
        # Those whose answer does not fit into the system's buffers; a dict for its order, the longest stalled first.
        self._stalled: dict[Connection, None] = {}

    @property
    def number(self) -> int:
        return len(self._open)

    @property
    def unsent_bytes(self) -> int:
        """Of all answers that wait for their readers."""
        return sum(each.unsent_bytes for each in self._stalled)

    def add(self, connection: Connection) -> bool:
        """False if the limit is reached and no other connection can end: this one must be refused."""
        if len(self._open) >= self.limits.connections:
            self._make_room()
        has_room = len(self._open) < self.limits.connections
        self._open.add(connection)
        _open_connections.inc()
        return has_room

    def remove(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            _open_connections.dec()
        self._stalled.pop(connection, None)

    def stall(self, connection: Connection) -> None:
        """An answer waits for its reader. Beyond the limit of unsent bytes those that wait longest are ended."""
        self._stalled[connection] = None
        unsent_bytes = self.unsent_bytes
        for each in list(self._stalled):
            if unsent_bytes <= self.limits.unsent_bytes or each is connection:
                break
            unsent_bytes -= each.unsent_bytes
            each.abort_unread("unsent bytes")

    def flow(self, connection: Connection) -> None:
        """The answer is read again."""
        self._stalled.pop(connection, None)

    async def sweep_regularly(self) -> None:
        """Check all deadlines, for as long as the server runs."""
        loop, interval = asyncio.get_running_loop(), self.limits.sweep_seconds
        last = loop.time()
        while True:
            await asyncio.sleep(interval)
            last, elapsed = loop.time(), loop.time() - last
            self.now += min(elapsed, 2 * interval)
            for connection in list(self._open):
                if connection.check(self.now):
                    await asyncio.sleep(0)  # requests run in between, also when a thousand connections end

    def _make_room(self) -> None:
        """End some of those that have waited longest for their client; each search reads all connections."""
        waiting_connections = [each for each in self._open if each.waiting_since < NEVER]
        number = max(1, self.limits.connections // 20)
        for each in heapq.nsmallest(number, waiting_connections, key=lambda connection: connection.waiting_since):
            self.remove(each)
            each.make_room()
