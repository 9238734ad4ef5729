"""Cost grows with the work and with nothing else: not with the orders already there, nor with a second process.

Three databases on one server, with 10,000, 100,000 and 1,000,000 orders and as many rows of history, have a gateway
each, and take turns. GROWTH_ORDERS, numbers separated by commas, chooses other sizes.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks import subjects
from benchmarks.measuring import CONNECTIONS, Load, Requests, cpu_seconds, interleaved, load, paced
from benchmarks.operations import LIST, PLACE, READ, SHIP, Operation
from benchmarks.orders_database import OrdersDatabase
from benchmarks.paced_load import Kind, Plan
from benchmarks.results import Result
from local_stack.program import Program
from local_stack.stack import Stack

ROUNDS = 7
SECONDS = 1.0
STEADY_SECONDS = 3.0
SIZES = [int(size) for size in os.environ.get("GROWTH_ORDERS", "10000,100000,1000000").split(",")]
AT_MOST = 1.5
TWO_PROCESSES_AT_MOST = 1.15


@dataclass(frozen=True, eq=False)
class Subject:
    """A database, its stored orders, and the processes that serve it."""

    name: str
    database: OrdersDatabase
    stored: tuple[int, int]
    servers: tuple[Program, ...]

    def run(self, operation: Operation, keys: Mapping[str, str]) -> Load:
        asked = [
            Requests(operation.request(keys), *(self._fresh(operation) if operation.writes else self.stored))
            for _ in self.servers
        ]
        targets = list(zip((server.port for server in self.servers), asked, strict=True))
        pids = [server.pid for server in self.servers]
        return load(targets, servers=pids, database=self.database.pid, seconds=SECONDS)

    def run_steadily(self, operation: Operation, keys: Mapping[str, str], rate: float) -> float:
        """Microseconds of processor time for each request; they come to each process at that rate, whatever becomes of
        the last."""
        pids = [server.pid for server in self.servers]
        plans = [self._plan(operation, keys, server.port, rate) for server in self.servers]
        before = sum(map(cpu_seconds, [*pids, self.database.pid]))
        with ThreadPoolExecutor(len(plans)) as clients:
            seen = list(clients.map(paced, plans))
        spent = sum(map(cpu_seconds, [*pids, self.database.pid])) - before
        return spent / sum(len(times) for each in seen for times in each["seconds"].values()) * 1e6

    def _plan(self, operation: Operation, keys: Mapping[str, str], port: int, rate: float) -> Plan:
        first, last = self._fresh(operation) if operation.writes else self.stored
        kind = Kind(name=operation.name, template=operation.request(keys), share=1, first=first, last=last)
        connections = CONNECTIONS // len(self.servers)
        return Plan(port=port, connections=connections, seconds=STEADY_SECONDS, rate=rate, kinds=[kind])

    def _fresh(self, operation: Operation) -> tuple[int, int]:
        return self.database.for_a_run(operation)


def measure() -> Iterator[Result]:
    with subjects.stack("orders") as made, contextlib.ExitStack() as running:
        sizes, addresses = list[Subject](), list[str]()
        for size in SIZES:
            addresses.append(subjects.another_database(made, "orders", f"orders_{size}"))
            database = OrdersDatabase(made.postgres, f"orders_{size}")
            stored = database.fill(size)
            database.fill_history(size)
            server = running.enter_context(_gateway(made, addresses[-1]))
            sizes.append(Subject(f"{size:,} orders", database, stored, (server,)))
        keys = made.credentials.api_keys
        for operation in (READ, LIST, PLACE, SHIP):
            yield from _compared(operation, sizes, keys, AT_MOST)
        smallest = sizes[0]
        second = running.enter_context(_gateway(made, addresses[0]))
        two = Subject("two processes", smallest.database, smallest.stored, (*smallest.servers, second))
        for operation in (READ, SHIP):
            yield _doubled(operation, smallest, two, keys)


def _compared(
    operation: Operation, measured: list[Subject], keys: Mapping[str, str], at_most: float
) -> Iterator[Result]:
    """Each against the first of them: processor time of a request, and the time from one answer to the next."""
    runs = interleaved(measured, lambda each: each.run(operation, keys), rounds=ROUNDS)
    first, *others = measured
    for other in others:
        name = f"{operation.name}, {other.name}"
        spent = [[each.processor_us for each in runs[subject]] for subject in (other, first)]
        yield Result.compared(f"{name}, processor", "µs", *spent, to=first.name, floor=at_most, is_ceiling=True)
        pace = [[1e6 / each.per_second for each in runs[subject]] for subject in (other, first)]
        yield Result.compared(name, "µs", *pace, to=first.name, floor=at_most, is_ceiling=True)


def _doubled(operation: Operation, one: Subject, two: Subject, keys: Mapping[str, str]) -> Result:
    """Twice the requests by twice the processes: processor time of each request, beside one process with its half.

    Each process is asked at a steady rate, a quarter of what one gets through. Two that are kept busy fight with the
    database and the client for this machine's two cores, and so would tell of those.
    """
    rate = one.run(operation, keys).per_second / 4
    runs = interleaved([two, one], lambda each: each.run_steadily(operation, keys, rate), rounds=ROUNDS)
    name = f"{operation.name}, two processes at {rate:,.0f}/s each, processor"
    floor = TWO_PROCESSES_AT_MOST
    return Result.compared(name, "µs", runs[two], runs[one], to="one process", floor=floor, is_ceiling=True)


def _gateway(made: Stack, address: str) -> Program:
    return subjects.another_program(made, "orders", "api", DATABASE_URL=address)
