"""An open-loop HTTP client: it sends requests of several kinds at a steady rate, without waiting for responses.

    python paced_load.py < plan.json

The latency of a request is measured from the time at which it was due, and so includes the wait for a free connection.
With rate 0, every connection sends its next request at once, which finds the rate at which the server is saturated. The
input is a `Plan`; the results are printed as JSON.
"""

import asyncio
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, TypedDict, cast

import uvloop

TICK_SECONDS = 0.001
GRACE_SECONDS = 30


class Kind(TypedDict):
    """A kind of request with its share of all. `{id}` in the template is a number from `first` to `last`."""

    name: str
    template: str
    share: int
    first: int
    last: int


class Plan(TypedDict):
    port: int
    connections: int
    seconds: float
    rate: float
    kinds: list[Kind]


class PendingRequest:
    """A request with its kind and the time at which it is due."""

    __slots__ = ("due", "kind", "message")

    def __init__(self, kind: str, message: bytes, due: float) -> None:
        self.kind, self.message, self.due = kind, message, due


class Load:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seconds: dict[str, list[float]] = {kind["name"]: [] for kind in plan["kinds"]}
        self.failures: list[str] = []
        self.idle: deque[Client] = deque()
        self.waiting: deque[PendingRequest] = deque()
        self.in_progress = 0
        self.is_over = False
        self.all_answered = asyncio.Event()
        self._messages = _messages(plan["kinds"])
        self.end = 0.0

    def next_request(self) -> PendingRequest | None:
        """The next request for a free connection, or None."""
        if self.waiting:
            return self.waiting.popleft()
        now = time.perf_counter()
        return self._new(now) if self.plan["rate"] == 0 and now < self.end else None

    def _new(self, due: float) -> PendingRequest:
        kind, message = next(self._messages)
        return PendingRequest(kind, message, due)

    def finish_request(self) -> None:
        """Count a request as finished."""
        self.in_progress -= 1
        if self.is_over and self.in_progress == 0:
            self.all_answered.set()

    async def run(self) -> None:
        start = time.perf_counter()
        self.end = start + self.plan["seconds"]
        for client in [self.idle.popleft() for _ in range(len(self.idle))]:
            client.send_next()
        scheduled = 0
        while (now := time.perf_counter()) < self.end:
            while scheduled < (now - start) * self.plan["rate"]:
                self.waiting.append(self._new(start + scheduled / self.plan["rate"]))
                scheduled += 1
            while self.waiting and self.idle:
                self.idle.popleft().send_next()
            await asyncio.sleep(TICK_SECONDS)
        self.is_over = True
        if self.in_progress:
            await asyncio.wait_for(self.all_answered.wait(), GRACE_SECONDS)


class Client(asyncio.Protocol):
    """A keep-alive connection."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.received = b""
        self.pending: PendingRequest | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's class is not a subclass
        self.load.idle.append(self)

    def send_next(self) -> None:
        self.pending = self.load.next_request()
        if self.pending is None:
            self.load.idle.append(self)
        else:
            self.load.in_progress += 1
            self.transport.write(self.pending.message)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        if self.pending is not None:
            self.load.seconds[self.pending.kind].append(time.perf_counter() - self.pending.due)
        if not head.startswith(b"HTTP/1.1 20"):
            self.load.failures.append(self.received.decode(errors="replace"))
        self.received, self.pending = b"", None
        self.send_next()
        self.load.finish_request()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.pending is not None:
            self.load.failures.append(f"connection lost: {exc!r}")
            self.load.finish_request()
        if self in self.load.idle:
            self.load.idle.remove(self)


def _messages(kinds: list[Kind]) -> Iterator[tuple[str, bytes]]:
    """Messages of all kinds in turn, according to their shares. A kind repeats its numbers after the last."""
    numbers = {kind["name"]: itertools.cycle(range(kind["first"], kind["last"] + 1)) for kind in kinds}
    parts = {kind["name"]: kind["template"].encode().split(b"{id}") for kind in kinds}
    turns = sorted((turn / kind["share"], kind["name"]) for kind in kinds for turn in range(kind["share"]))
    for _, name in itertools.cycle(turns):
        yield name, (b"%032x" % next(numbers[name])).join(parts[name])


async def main(plan: Plan) -> dict[str, Any]:
    load, loop = Load(plan), asyncio.get_running_loop()
    for _ in range(plan["connections"]):
        await loop.create_connection(lambda: Client(load), "127.0.0.1", plan["port"])
    start = time.perf_counter()
    await load.run()
    return {
        "per_second": sum(map(len, load.seconds.values())) / (time.perf_counter() - start),
        "failures": len(load.failures),
        "first_failure": load.failures[0] if load.failures else None,
        "seconds": load.seconds,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(json.load(sys.stdin)))))
