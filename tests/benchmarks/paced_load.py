"""An open-loop HTTP client: requests of several kinds come at a steady rate, whether or not the last were answered.

    python paced_load.py < plan.json

A request's time runs from the moment it was due, so that waiting for a free connection counts. With rate 0 every
connection asks again at once: that finds the rate at which the server is saturated. The plan is `Plan`; what was seen
is printed as JSON.
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
    """`share` of a round of requests. `{id}` in the template stands for a number from `first` on, up to `last`."""

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


class Asked:
    """One request, of a kind, with the time at which it was due."""

    __slots__ = ("due", "kind", "message")

    def __init__(self, kind: str, message: bytes, due: float) -> None:
        self.kind, self.message, self.due = kind, message, due


class Load:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seconds: dict[str, list[float]] = {kind["name"]: [] for kind in plan["kinds"]}
        self.failures: list[str] = []
        self.idle: deque[Client] = deque()
        self.waiting: deque[Asked] = deque()
        self.open = 0
        self.is_over = False
        self.all_answered = asyncio.Event()
        self._messages = _messages(plan["kinds"])
        self.end = 0.0

    def take(self) -> Asked | None:
        """The next request for a connection that has become free."""
        if self.waiting:
            return self.waiting.popleft()
        now = time.perf_counter()
        return self._new(now) if self.plan["rate"] == 0 and now < self.end else None

    def _new(self, due: float) -> Asked:
        kind, message = next(self._messages)
        return Asked(kind, message, due)

    def close(self) -> None:
        """One request less is under way."""
        self.open -= 1
        if self.is_over and self.open == 0:
            self.all_answered.set()

    async def run(self) -> None:
        start = time.perf_counter()
        self.end = start + self.plan["seconds"]
        for client in [self.idle.popleft() for _ in range(len(self.idle))]:
            client.go_on()
        made = 0
        while (now := time.perf_counter()) < self.end:
            while made < (now - start) * self.plan["rate"]:
                self.waiting.append(self._new(start + made / self.plan["rate"]))
                made += 1
            while self.waiting and self.idle:
                self.idle.popleft().go_on()
            await asyncio.sleep(TICK_SECONDS)
        self.is_over = True
        if self.open:
            await asyncio.wait_for(self.all_answered.wait(), GRACE_SECONDS)


class Client(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.received = b""
        self.asked: Asked | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class only behaves like one
        self.load.idle.append(self)

    def go_on(self) -> None:
        self.asked = self.load.take()
        if self.asked is None:
            self.load.idle.append(self)
        else:
            self.load.open += 1
            self.transport.write(self.asked.message)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        if self.asked is not None:
            self.load.seconds[self.asked.kind].append(time.perf_counter() - self.asked.due)
        if not head.startswith(b"HTTP/1.1 20"):
            self.load.failures.append(self.received.decode(errors="replace"))
        self.received, self.asked = b"", None
        self.go_on()
        self.load.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.asked is not None:
            self.load.failures.append(f"connection lost: {exc!r}")
            self.load.close()
        if self in self.load.idle:
            self.load.idle.remove(self)


def _messages(kinds: list[Kind]) -> Iterator[tuple[str, bytes]]:
    """Kinds take turns by their shares; a kind that has used up its numbers begins again."""
    numbers = {kind["name"]: itertools.cycle(range(kind["first"], kind["last"] + 1)) for kind in kinds}
    parts = {kind["name"]: kind["template"].encode().split(b"{id}") for kind in kinds}
    turns = sorted((turn / kind["share"], kind["name"]) for kind in kinds for turn in range(kind["share"]))
    for _, name in itertools.cycle(turns):
        yield name, (b"%032x" % next(numbers[name])).join(parts[name])


async def main(plan: Plan) -> dict[str, Any]:
    load, loop = Load(plan), asyncio.get_running_loop()
    for _ in range(plan["connections"]):
        await loop.create_connection(lambda: Client(load), "127.0.0.1", plan["port"])
    began = time.perf_counter()
    await load.run()
    return {
        "per_second": sum(map(len, load.seconds.values())) / (time.perf_counter() - began),
        "failures": len(load.failures),
        "first_failure": load.failures[0] if load.failures else None,
        "seconds": load.seconds,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(json.load(sys.stdin)))))
