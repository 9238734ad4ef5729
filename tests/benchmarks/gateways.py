"""The orders gateway compared with the limit (bare ASGI and asyncpg) and with a naive implementation.

Every server is one process, with the same PostgreSQL, pool size, requests and client. Before the measurement, the
responses and rows of one request are compared value by value; after each run, its rows are counted.
"""

import contextlib
import json
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import subjects
from benchmarks.measuring import Load, Requests, interleaved, load
from benchmarks.operations import LIST, PLACE, READ, SHIP, Operation
from benchmarks.orders_database import OrdersDatabase, UnexpectedRowsError, without_varying
from benchmarks.results import Result

ROUNDS = 9
SECONDS = 0.8
STORED_ORDERS = 10_000
LIMIT_NAME = "bare ASGI, asyncpg"
NAIVE_NAME = "FastAPI, ORM, Kafka after commit"
NAIVE_FLOOR, NAIVE_AIM = 2.0, 3.0


@dataclass(frozen=True)
class Server:
    """A server to measure. The naive one does not use the outbox."""

    name: str
    port: int
    pid: int
    has_outbox: bool = True

    def rows(self, operation: Operation) -> Mapping[str, int]:
        """How many rows a request writes, by table."""
        return {table: rows for table, rows in operation.writes.items() if self.has_outbox or "outbox" not in table}


def measure() -> Iterator[Result]:
    with servers() as (bench, product, limit, naive):
        for operation in (READ, LIST, PLACE):
            yield from against_limit(operation, *bench.measure(operation, product, limit))
        product_runs, limit_runs, naive_runs = bench.measure(SHIP, product, limit, naive)
        yield from against_limit(SHIP, product_runs, limit_runs)
        name = f"{SHIP.name}, against naive"
        rates = [run.per_second for run in product_runs], [run.per_second for run in naive_runs]
        yield Result.compared(name, "requests/s", *rates, to=NAIVE_NAME, floor=NAIVE_FLOOR, aim=NAIVE_AIM)
        yield processor_time(name, product_runs, naive_runs, NAIVE_NAME)


def against_limit(operation: Operation, runs: list[Load], limit_runs: list[Load]) -> Iterator[Result]:
    rates = [run.per_second for run in runs], [run.per_second for run in limit_runs]
    yield Result.compared(operation.name, "requests/s", *rates, to=LIMIT_NAME, floor=operation.floor, aim=operation.aim)
    yield processor_time(operation.name, runs, limit_runs, LIMIT_NAME)
    yield Result.absolute(f"{operation.name}, of it the server", "µs", [run.server_us for run in runs])
    yield Result.absolute(f"{operation.name}, p99", "ms", [run.p99_ms for run in runs])


def processor_time(name: str, runs: list[Load], reference_runs: list[Load], reference: str) -> Result:
    """Processor time of one request, server and database together. It varies less than the rate on a busy machine."""
    times = [run.processor_us for run in runs], [run.processor_us for run in reference_runs]
    return Result.compared(f"{name}, processor time", "µs", *times, to=reference, is_ceiling=True)


class Bench:
    def __init__(self, database: OrdersDatabase, keys: Mapping[str, str]) -> None:
        self._database, self._keys = database, keys
        self._stored = database.fill(STORED_ORDERS)

    def measure(self, operation: Operation, *servers: Server, rounds: int = ROUNDS) -> list[list[Load]]:
        """The runs of each server, round by round."""
        self.compare(operation, *servers)
        runs = interleaved(servers, lambda server: self._run(operation, server), rounds=rounds)
        return [runs[server] for server in servers]

    def _run(self, operation: Operation, server: Server) -> Load:
        numbers = self._database.for_a_run(operation) if operation.writes else self._stored
        requests, before = Requests(operation.request(self._keys), *numbers), self._database.written()
        run = load([(server.port, requests)], servers=[server.pid], database=self._database.pid, seconds=SECONDS)
        self._database.check(before, server.rows(operation), run.requests)
        return run

    def compare(self, operation: Operation, product: Server, *references: Server) -> None:
        """Raises `UnexpectedRowsError` if the response to one request, or its rows, differ between the servers."""
        expected = self._observe(operation, product)
        for server in references:
            for kind, value in self._observe(operation, server).items():
                if value != expected[kind]:
                    raise UnexpectedRowsError(f"{operation.name}, {kind}, {server.name}: {value}, not {expected[kind]}")

    def _observe(self, operation: Operation, server: Server) -> dict[str, Any]:
        """The rows of one request by kind, or the response of one that only reads."""
        new_numbers = self._database.fill if operation.needs_orders else self._database.numbers
        number = f"{new_numbers(1)[0] if operation.writes else self._stored[0]:032x}"
        response = _send(server.port, operation, number, operation.headers(self._keys))
        if not operation.writes:
            return {"response": without_varying(response)}
        rows = self._database.rows_of(json.loads(response)["id"])
        return rows if server.has_outbox else {kind: value for kind, value in rows.items() if kind != "event"}


def _send(port: int, operation: Operation, number: str, headers: Mapping[str, str]) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{operation.path.replace('{id}', number)}",
        operation.body.encode() or None,
        {name: value.replace("{id}", number) for name, value in headers.items()},
        method=operation.method,
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - an address of our own
        text: str = response.read().decode()
        return text


@contextlib.contextmanager
def servers() -> Iterator[tuple[Bench, Server, Server, Server]]:
    with contextlib.ExitStack() as running:
        stack = running.enter_context(subjects.stack("orders"))
        api = running.enter_context(subjects.program(stack, "orders", "api"))
        limit = running.enter_context(subjects.reference(stack, "benchmarks.limit_gateway:create"))
        naive = running.enter_context(subjects.reference(stack, "benchmarks.naive_gateway:create"))
        yield (
            Bench(OrdersDatabase(stack.postgres), stack.credentials.api_keys),
            Server("product", api.port, api.pid),
            Server("limit", limit.port, limit.pid),
            Server("naive", naive.port, naive.pid, has_outbox=False),
        )
        subjects.verify_audit(stack, "orders")
