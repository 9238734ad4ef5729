"""A closed-loop HTTP/1.1 client: it keeps a number of connections busy and prints its results as JSON.

    python http_load.py <port> <connections> <seconds> <first> <last> <request template>

It runs in a process of its own and needs about 20 microseconds for a request, far less than any server here. `{id}` in
the template is replaced by the number of an order, from `first` to `last`; reads then start again, writes end.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import cast

import uvloop


class Load:
    def __init__(self, requests: Iterator[bytes], deadline: float) -> None:
        self.requests = requests
        self.deadline = deadline
        self.latencies: list[float] = []
        self.failures: list[str] = []


class Client(asyncio.Protocol):
    """A connection that sends the next request as soon as the response to the previous one is complete."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.received = b""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's class is not a subclass
        self.send_next()

    def send_next(self) -> None:
        self.sent = time.perf_counter()
        request = next(self.load.requests, None) if self.sent < self.load.deadline else None
        if request is None:
            self.transport.close()
        else:
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self.load.latencies.append(time.perf_counter() - self.sent)
        if not head.startswith(b"HTTP/1.1 20"):
            self.load.failures.append(self.received.decode(errors="replace"))
        self.received = b""
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.load.failures.append(repr(exc))
        self.finished.set_result(None)


def requests(template: str, numbers: Iterator[int]) -> Iterator[bytes]:
    """HTTP messages for the numbers. `template` is a complete message with `{id}`."""
    before, *rest = template.encode().split(b"{id}")
    for number in numbers:
        yield (b"%032x" % number).join([before, *rest])


async def main(port: int, connections: int, seconds: float, first: int, last: int, template: str) -> None:
    numbers = range(first, last + 1)
    repeated = itertools.cycle(numbers) if template.startswith("GET") else iter(numbers)
    start = time.perf_counter()
    load = Load(requests(template, repeated), start + seconds)
    loop = asyncio.get_running_loop()
    connecting = (loop.create_connection(lambda: Client(load), "127.0.0.1", port) for _ in range(connections))
    opened = await asyncio.gather(*connecting)
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*(client.finished for _, client in opened))
    elapsed = time.perf_counter() - start
    latencies = sorted(load.latencies)
    result = {
        "requests": len(latencies),
        "per_second": len(latencies) / elapsed,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
        "failures": len(load.failures),
        "first_failure": load.failures[0] if load.failures else None,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    port, connections, seconds, first, last, template = sys.argv[1:]
    uvloop.run(main(int(port), int(connections), float(seconds), int(first), int(last), template))
