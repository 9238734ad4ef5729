"""A thousand clients for five minutes, at 70 % of the rate at which the orders gateway is saturated.

They read, list, place and ship orders, while the relay and the consumer of the service also run. SOAK_SECONDS and
SOAK_CLIENTS shorten the run.
"""

import os
import resource
import statistics
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks import measuring, subjects
from benchmarks.measuring import resident_bytes
from benchmarks.operations import LIST, PLACE, READ, SHIP, Operation
from benchmarks.orders_database import OrdersDatabase
from benchmarks.paced_load import Kind, Plan
from benchmarks.results import Result
from local_stack.program import Program

SECONDS = float(os.environ.get("SOAK_SECONDS", "300"))
CLIENTS = int(os.environ.get("SOAK_CLIENTS", "1000"))
SEARCH_SECONDS, SEARCHES = 8.0, 3
SHARE_OF_SATURATION = 0.7
# Of every twenty requests.
MIX = {READ: 12, LIST: 2, PLACE: 3, SHIP: 3}
READS = (READ.name, LIST.name)
STORED_ORDERS = 50_000
MEGABYTE = 1_000_000
READ_MS, WRITE_MS, GROWTH = 200, 500, 1.05


def measure() -> Iterator[Result]:
    _allow_many_sockets()
    with (
        subjects.stack("orders") as stack,
        subjects.program(stack, "orders", "api") as api,
        subjects.program(stack, "orders", "relay"),
        subjects.program(stack, "orders", "consumer"),
    ):
        soak = Soak(OrdersDatabase(stack.postgres), api, stack.credentials.api_keys)
        searches = [soak.run(0, SEARCH_SECONDS) for _ in range(SEARCHES)]
        saturated = statistics.median(each["per_second"] for each in searches)
        yield Result.absolute("saturation", "requests/s", [each["per_second"] for each in searches], is_ceiling=False)
        with Memory(api.pid) as memory:
            results = soak.run(saturated * SHARE_OF_SATURATION, SECONDS)
        yield from _results(results, memory)


def _results(results: dict[str, Any], memory: "Memory") -> Iterator[Result]:
    name = f"{CLIENTS:,} clients"
    if results["failures"]:
        print(f"The first failure: {results['first_failure']}")
    times: dict[str, list[float]] = results["seconds"]
    reads = [value for kind, values in times.items() if kind in READS for value in values]
    writes = [value for kind, values in times.items() if kind not in READS for value in values]
    yield Result.absolute(f"{name}, 70 % of saturation", "requests/s", [results["per_second"]], is_ceiling=False)
    yield Result.absolute(f"{name}, errors", "", [results["failures"]], floor=0)
    yield Result.absolute(f"{name}, read p95", "ms", [_p95_ms(reads)], floor=READ_MS)
    yield Result.absolute(f"{name}, write p95", "ms", [_p95_ms(writes)], floor=WRITE_MS)
    yield Result.compared(
        f"{name}, memory at the end", "MB", [memory.late], [memory.early], to="after the first fifth",
        floor=GROWTH, is_ceiling=True,
    )  # fmt: skip


def _p95_ms(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1] * 1000


@dataclass
class Soak:
    database: OrdersDatabase
    api: Program
    keys: dict[str, str]
    stored: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.stored = self.database.fill(STORED_ORDERS)

    def run(self, rate: float, seconds: float) -> dict[str, Any]:
        """Send requests at this rate, or with rate 0 as fast as the gateway responds."""
        maximum = int(seconds * (rate or 10_000))
        plan = Plan(
            port=self.api.port,
            connections=CLIENTS,
            seconds=seconds,
            rate=rate,
            kinds=[
                self._kind(operation, share, maximum * share // sum(MIX.values())) for operation, share in MIX.items()
            ],
        )
        return measuring.paced(plan)

    def _kind(self, operation: Operation, share: int, maximum: int) -> Kind:
        first, last = self.stored
        if operation.writes:
            fresh = self.database.fill if operation.needs_orders else self.database.numbers
            first, last = fresh(maximum + CLIENTS)
        return Kind(name=operation.name, template=operation.request(self.keys), share=share, first=first, last=last)


class Memory:
    """The resident memory of a process, sampled every second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[float] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(1.0):
            self._samples.append(resident_bytes(self._pid) / MEGABYTE)

    @property
    def early(self) -> float:
        """The median of the second fifth, when everything that is stored for a minute is in memory."""
        fifth = len(self._samples) // 5
        return statistics.median(self._samples[fifth : 2 * fifth])

    @property
    def late(self) -> float:
        return statistics.median(self._samples[-(len(self._samples) // 5) :])


def _allow_many_sockets() -> None:
    """Raise the limit of open files for this process and its children."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
