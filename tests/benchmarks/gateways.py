"""Orders over HTTP with everything on, against bare ASGI with asyncpg (the limit) and against the naive way.

Every server is one process, with the same PostgreSQL, pool size, requests and client. Before the measurement the
answers and rows of one request are compared value by value; after each run its rows are counted.
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
from benchmarks.orders_database import OrdersDatabase, WroteSomethingElse, without_varying
from benchmarks.results import Result

ROUNDS = 9
SECONDS = 0.8
STORED_ORDERS = 10_000
LIMIT_NAME = "bare ASGI, asyncpg"
NAIVE_NAME = "FastAPI, ORM, Kafka after commit"
NAIVE_FLOOR, NAIVE_AIM = 2.0, 3.0


@dataclass(frozen=True)
class Way:
    """A server to measure, by its port and process id. One that `tells` writes events into the outbox."""

    name: str
    port: int
    pid: int
    tells: bool = True

    def rows(self, operation: Operation) -> Mapping[str, int]:
        return {table: rows for table, rows in operation.writes.items() if self.tells or not table.startswith("outbox")}


def measure() -> Iterator[Result]:
    with _ways() as (bench, product, limit, naive):
        for operation in (READ, LIST, PLACE):
            yield from against_limit(operation, *bench.measure(operation, product, limit))
        ours, bare, theirs = bench.measure(SHIP, product, limit, naive)
        yield from against_limit(SHIP, ours, bare)
        rates = [each.per_second for each in ours], [each.per_second for each in theirs]
        yield Result.compared(
            f"{SHIP.name}, against naive", "requests/s", *rates, to=NAIVE_NAME, floor=NAIVE_FLOOR, aim=NAIVE_AIM
        )
        yield from processor(f"{SHIP.name}, against naive", ours, theirs, NAIVE_NAME)


def against_limit(operation: Operation, ours: list[Load], limit: list[Load]) -> Iterator[Result]:
    rates = [each.per_second for each in ours], [each.per_second for each in limit]
    yield Result.compared(operation.name, "requests/s", *rates, to=LIMIT_NAME, floor=operation.floor, aim=operation.aim)
    yield from processor(operation.name, ours, limit, LIMIT_NAME)
    yield Result.absolute(f"{operation.name}, of it the server", "µs", [each.server_us for each in ours])
    yield Result.absolute(f"{operation.name}, p99", "ms", [each.p99_ms for each in ours])


def processor(name: str, ours: list[Load], other: list[Load], other_name: str) -> Iterator[Result]:
    """Of one request, server and database together: the steadier figure on a busy machine."""
    spent = [each.processor_us for each in ours], [each.processor_us for each in other]
    yield Result.compared(f"{name}, processor time", "µs", *spent, to=other_name, is_ceiling=True)


class Bench:
    def __init__(self, database: OrdersDatabase, keys: Mapping[str, str]) -> None:
        self._database, self._keys = database, keys
        self._stored = database.fill(STORED_ORDERS)

    def measure(self, operation: Operation, *ways: Way) -> list[list[Load]]:
        """The runs of each way, round by round."""
        self._compare(operation, *ways)
        runs = interleaved(ways, lambda way: self._run(operation, way), rounds=ROUNDS)
        return [runs[way] for way in ways]

    def _run(self, operation: Operation, way: Way) -> Load:
        numbers = self._database.for_a_run(operation) if operation.writes else self._stored
        asked, before = Requests(operation.request(self._keys), *numbers), self._database.written()
        seen = load([(way.port, asked)], servers=[way.pid], database=self._database.pid, seconds=SECONDS)
        self._database.check(before, way.rows(operation), seen.requests)
        return seen

    def _compare(self, operation: Operation, subject: Way, *references: Way) -> None:
        """Raises `WroteSomethingElse` when one request is answered otherwise, or leaves other rows."""
        expected = self._observe(operation, subject)
        for way in references:
            for kind, found in self._observe(operation, way).items():
                if found != expected[kind]:
                    raise WroteSomethingElse(f"{operation.name}, {kind}, {way.name}: {found}, not {expected[kind]}")

    def _observe(self, operation: Operation, way: Way) -> dict[str, Any]:
        fresh = self._database.fill if operation.needs_orders else self._database.numbers
        number = f"{fresh(1)[0] if operation.writes else self._stored[0]:032x}"
        answer = _ask(way.port, operation, number, operation.headers(self._keys))
        if not operation.writes:
            return {"answer": without_varying(answer)}
        rows = self._database.rows_of(json.loads(answer)["id"])
        return rows if way.tells else {kind: found for kind, found in rows.items() if kind != "event"}


def _ask(port: int, operation: Operation, number: str, headers: Mapping[str, str]) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{operation.path.replace('{id}', number)}",
        operation.body.encode() or None,
        {name: value.replace("{id}", number) for name, value in headers.items()},
        method=operation.method,
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - an address of our own
        text: str = answer.read().decode()
        return text


@contextlib.contextmanager
def _ways() -> Iterator[tuple[Bench, Way, Way, Way]]:
    with contextlib.ExitStack() as running:
        made = running.enter_context(subjects.stack("orders"))
        api = running.enter_context(subjects.program(made, "orders", "api"))
        limit = running.enter_context(subjects.reference(made, "benchmarks.limit_gateway:create"))
        naive = running.enter_context(subjects.reference(made, "benchmarks.naive_gateway:create"))
        yield (
            Bench(OrdersDatabase(made.postgres), made.credentials.api_keys),
            Way("product", api.port, api.pid),
            Way("limit", limit.port, limit.pid),
            Way("naive", naive.port, naive.pid, tells=False),
        )
        subjects.verify_audit(made, "orders")
