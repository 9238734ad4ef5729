"""Cost grows with the work and with nothing else: not with the orders already there, nor with a second process.

Three databases on one server, with 10,000, 100,000 and 1,000,000 orders and as many rows of history, have a gateway
each, and take turns. GROWTH_ORDERS, numbers separated by commas, chooses other sizes.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks import subjects
from benchmarks.measuring import Load, Requests, interleaved, load
from benchmarks.operations import LIST, PLACE, READ, SHIP, Operation
from benchmarks.orders_database import OrdersDatabase
from benchmarks.results import Result
from local_stack.program import Program
from local_stack.stack import Stack

ROUNDS = 7
SECONDS = 1.0
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
            yield from _compared(operation, [smallest, two], keys, TWO_PROCESSES_AT_MOST, rates=False)


def _compared(
    operation: Operation, measured: list[Subject], keys: Mapping[str, str], at_most: float, *, rates: bool = True
) -> Iterator[Result]:
    """Each against the first of them: processor time of a request, and the time from one answer to the next."""
    runs = interleaved(measured, lambda each: each.run(operation, keys), rounds=ROUNDS)
    first, *others = measured
    for other in others:
        name = f"{operation.name}, {other.name}"
        spent = [[each.processor_us for each in runs[subject]] for subject in (other, first)]
        yield Result.compared(f"{name}, processor", "µs", *spent, to=first.name, floor=at_most, is_ceiling=True)
        if rates:
            pace = [[1e6 / each.per_second for each in runs[subject]] for subject in (other, first)]
            yield Result.compared(name, "µs", *pace, to=first.name, floor=at_most, is_ceiling=True)


def _gateway(made: Stack, address: str) -> Program:
    return subjects.another_program(made, "orders", "api", DATABASE_URL=address)
