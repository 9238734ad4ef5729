"""The cost of a request does not grow with the number of stored orders, nor with a second process.

Three databases on one server, with 10,000, 100,000 and 1,000,000 orders and the rows of their history, each have a
gateway, and are measured in turns. GROWTH_ORDERS sets other sizes, separated by commas.
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
MAX_RATIO = 1.5
MAX_RATIO_OF_TWO = 1.15


@dataclass(frozen=True, eq=False)
class Subject:
    """A database, its stored orders, and the processes that serve it."""

    name: str
    database: OrdersDatabase
    stored: tuple[int, int]
    servers: tuple[Program, ...]

    def run(self, operation: Operation, keys: Mapping[str, str]) -> Load:
        requests = [
            Requests(operation.request(keys), *(self._new_numbers(operation) if operation.writes else self.stored))
            for _ in self.servers
        ]
        targets = list(zip((server.port for server in self.servers), requests, strict=True))
        pids = [server.pid for server in self.servers]
        return load(targets, servers=pids, database=self.database.pid, seconds=SECONDS)

    def run_steadily(self, operation: Operation, keys: Mapping[str, str], rate: float) -> float:
        """Processor time of a request in microseconds, when each process gets requests at this rate (open loop)."""
        pids = [server.pid for server in self.servers]
        plans = [self._plan(operation, keys, server.port, rate) for server in self.servers]
        before = sum(map(cpu_seconds, [*pids, self.database.pid]))
        with ThreadPoolExecutor(len(plans)) as clients:
            results = list(clients.map(paced, plans))
        cpu_time = sum(map(cpu_seconds, [*pids, self.database.pid])) - before
        return cpu_time / sum(len(times) for each in results for times in each["seconds"].values()) * 1e6

    def _plan(self, operation: Operation, keys: Mapping[str, str], port: int, rate: float) -> Plan:
        first, last = self._new_numbers(operation) if operation.writes else self.stored
        kind = Kind(name=operation.name, template=operation.request(keys), share=1, first=first, last=last)
        connections = CONNECTIONS // len(self.servers)
        return Plan(port=port, connections=connections, seconds=STEADY_SECONDS, rate=rate, kinds=[kind])

    def _new_numbers(self, operation: Operation) -> tuple[int, int]:
        return self.database.for_a_run(operation)


def measure() -> Iterator[Result]:
    with subjects.stack("orders") as stack, contextlib.ExitStack() as running:
        sizes, addresses = list[Subject](), list[str]()
        for size in SIZES:
            addresses.append(subjects.another_database(stack, "orders", f"orders_{size}"))
            database = OrdersDatabase(stack.postgres, f"orders_{size}")
            stored = database.fill(size)
            database.fill_history(size)
            server = running.enter_context(_gateway(stack, addresses[-1]))
            sizes.append(Subject(f"{size:,} orders", database, stored, (server,)))
        keys = stack.credentials.api_keys
        for operation in (READ, LIST, PLACE, SHIP):
            yield from _compare(operation, sizes, keys, MAX_RATIO)
        smallest = sizes[0]
        second = running.enter_context(_gateway(stack, addresses[0]))
        two = Subject("two processes", smallest.database, smallest.stored, (*smallest.servers, second))
        for operation in (READ, SHIP):
            yield _compare_two_processes(operation, smallest, two, keys)


def _compare(
    operation: Operation, compared: list[Subject], keys: Mapping[str, str], at_most: float
) -> Iterator[Result]:
    """Compare each subject with the first: processor time of a request, and time between responses."""
    runs = interleaved(compared, lambda each: each.run(operation, keys), rounds=ROUNDS)
    first, *others = compared
    for other in others:
        name = f"{operation.name}, {other.name}"
        cpu_time = [[each.processor_us for each in runs[subject]] for subject in (other, first)]
        yield Result.compared(f"{name}, processor", "µs", *cpu_time, to=first.name, floor=at_most, is_ceiling=True)
        times = [[1e6 / each.per_second for each in runs[subject]] for subject in (other, first)]
        yield Result.compared(name, "µs", *times, to=first.name, floor=at_most, is_ceiling=True)


def _compare_two_processes(operation: Operation, one: Subject, two: Subject, keys: Mapping[str, str]) -> Result:
    """Compare the processor time of a request in two processes with that in one process with half of the requests.

    Each process gets requests at a steady rate, a quarter of the maximum of one process. At the maximum, two processes,
    the database and the client would compete for the two cores of the machine.
    """
    rate = one.run(operation, keys).per_second / 4
    runs = interleaved([two, one], lambda each: each.run_steadily(operation, keys, rate), rounds=ROUNDS)
    name = f"{operation.name}, two processes at {rate:,.0f}/s each, processor"
    floor = MAX_RATIO_OF_TWO
    return Result.compared(name, "µs", runs[two], runs[one], to="one process", floor=floor, is_ceiling=True)


def _gateway(stack: Stack, address: str) -> Program:
    return subjects.another_program(stack, "orders", "api", DATABASE_URL=address)
