"""Lists, searches and exports do not get slower with the number of stored orders.

Two databases on one server, with 10,000 and 1,000,000 orders, each have a gateway, and are measured in turns at a
steady rate. LISTS_ORDERS sets other sizes, separated by commas.
"""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks import subjects
from benchmarks.measuring import interleaved, paced, resident_bytes
from benchmarks.orders_database import OrdersDatabase
from benchmarks.paced_load import Kind, Plan
from benchmarks.results import Result
from local_stack.postgres import BINARIES
from local_stack.program import Program

ROUNDS = 5
SECONDS = 2.0
RATE = 100.0
CONNECTIONS = 4
SIZES = [int(size) for size in os.environ.get("LISTS_ORDERS", "10000,1000000").split(",")]
MAX_RATIO = 1.5
LIST = "/api/v1/orders?limit=20"
REQUESTS = {
    "list with total": LIST,
    "list by change": f"{LIST}&sort=-updated_at",
    "list by total": f"{LIST}&sort=total_amount",
    "two statuses": f"{LIST}&status=PAID,PROCESSING_IN_WAREHOUSE",
    "search by number": f"{LIST}&order_number=ORD-2025-{{id}}",
    "search by external id": f"{LIST}&external_id=ext-{{id}}",
    "search by e-mail": f"{LIST}&customer_email=c{{id}}@example.org",
    "search by tracking number": f"{LIST}&tracking_number=TRK{{id}}",
    "search by payment": f"{LIST}&payment_reference=pi_{{id}}",
    "search by amount": f"{LIST}&total_from=5000&total_to=5009",
    "search by words": f"{LIST}&q=ada+n{{id}}",
    "read an order": "/api/v1/orders/{id}",
    "history": "/api/v1/orders/{id}/history",
    "metrics": "/api/v1/metrics",
}
DEEP_CURSOR = "page at the middle, by cursor"


@dataclass(frozen=True, eq=False)
class Subject:
    """A database with its gateway."""

    name: str
    server: Program
    stored: tuple[int, int]
    keys: Mapping[str, str]

    def run(self, path: str) -> list[float]:
        """Latencies in milliseconds."""
        template = f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-API-Key: {self.keys['manager']}\r\n\r\n"
        kind = Kind(name="request", template=template, share=1, first=self.stored[0], last=self.stored[1])
        plan = Plan(port=self.server.port, connections=CONNECTIONS, seconds=SECONDS, rate=RATE, kinds=[kind])
        return [seconds * 1000 for seconds in paced(plan)["seconds"]["request"]]

    def deep_cursor(self) -> str:
        path = f"/api/v1/orders?limit=1&offset={self.stored[1] // 2}"
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.server.port}{path}", headers={"X-API-Key": self.keys["manager"]}
        )
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - an address of our own
            cursor: str = json.load(response)["pagination"]["next_cursor"]
        return cursor


def measure() -> Iterator[Result]:
    with subjects.stack("orders") as stack, contextlib.ExitStack() as running:
        sizes = list[Subject]()
        for size in SIZES:
            address = subjects.another_database(stack, "orders", f"orders_{size}")
            database = OrdersDatabase(stack.postgres, f"orders_{size}")
            stored = database.fill(size, searchable=True)
            database.fill_history(size)
            server = running.enter_context(subjects.another_program(stack, "orders", "api", DATABASE_URL=address))
            sizes.append(Subject(f"{size:,} orders", server, stored, stack.credentials.api_keys))
        for name, path in REQUESTS.items():
            yield from _compare(name, dict.fromkeys(sizes, path))
        yield from _compare(DEEP_CURSOR, {each: f"{LIST}&cursor={each.deep_cursor()}" for each in sizes})
        yield from _export(sizes[-1])
        yield _copy(stack.postgres.dsn(f"orders_{SIZES[-1]}"), SIZES[-1])


def _compare(name: str, paths: Mapping[Subject, str]) -> Iterator[Result]:
    """Compare the latencies at the largest size with those at the smallest."""
    runs = interleaved(list(paths), lambda subject: subject.run(paths[subject]), rounds=ROUNDS)
    first, *_, last = paths
    for label, of in (("p50", statistics.median), ("p99", _p99)):
        figures = [[of(latencies) for latencies in runs[subject]] for subject in (last, first)]
        full_name = f"{name}, {last.name}, {label}"
        yield Result.compared(full_name, "ms", *figures, to=first.name, floor=MAX_RATIO, is_ceiling=True)


def _p99(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100, method="inclusive")[98]


def _export(subject: Subject) -> Iterator[Result]:
    """Rows a second, and the memory of the process while it sends and before."""
    before, most, done = resident_bytes(subject.server.pid), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            most[0] = max(most[0], resident_bytes(subject.server.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    start, rows = time.monotonic(), _export_rows(subject)
    seconds = time.monotonic() - start
    done.set()
    watching.join()
    assert rows == subject.stored[1], rows
    yield Result.absolute(f"export of {subject.name}", "rows/s", [rows / seconds])
    memory = [most[0] / 1e6], [before / 1e6]
    yield Result.compared("export, memory of the process", "MB", *memory, to="before", floor=1.1, is_ceiling=True)


def _export_rows(subject: Subject) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", subject.server.port, timeout=60)
    connection.request("GET", "/api/v1/orders/export", headers={"X-API-Key": subject.keys["manager"]})
    response, rows = connection.getresponse(), 0
    while chunk := response.read1(1 << 20):
        rows += chunk.count(b"\n")
    connection.close()
    return rows


def _copy(dsn: str, rows: int) -> Result:
    """The bare rows of orders, without their lines."""
    start = time.monotonic()
    measure_copy = [str(BINARIES / "psql"), "-Xq", "-c", "COPY orders TO STDOUT", "-o", os.devnull, dsn]
    subprocess.run(measure_copy, check=True, stdout=subprocess.DEVNULL)
    return Result.absolute(f"COPY of {rows:,} orders", "rows/s", [rows / (time.monotonic() - start)])
