"""Comparison of implementations of the hot statements: one state change and one read, relative to bare ASGI.

    cd tests && python -m benchmarks.hot_path [rounds]

All variants run on the same uvicorn and PostgreSQL and write the same rows. In every round each variant runs once,
briefly and in random order, so that each ratio compares runs of about the same time; the spread is the middle half of
the ratios. The ratio of processor time, of server and database together, varies less on a busy machine. ADR 2 is based
on the results.
"""

import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import cpu_seconds, environment, python
from local_stack import process
from local_stack.ports import free_ports
from local_stack.postgres import Postgres
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
CONNECTIONS = 32
SECONDS = 0.6
ORDERS_PER_RUN = 2_500  # more than any variant can ship in that time
SHIP_VARIANTS = {
    "limit": "bare ASGI, asyncpg, separate statements",
    "core-separate": "FastAPI, SQLAlchemy, separate statements",
    "core-together": "FastAPI, SQLAlchemy, lock + one CTE",
    "text": "FastAPI, asyncpg, lock + one CTE, SQL text",
    "prepared": "FastAPI, asyncpg, lock + one CTE, compiled",
    "prepared-reset": "… with asyncpg's reset of pooled connections",
    "optimistic": "… with a version check instead of the lock",
    "everything": "… with API key, route class and stored response",
    "limit-with-key": "bare ASGI …, and the response stored",
}
READ_VARIANTS = {
    "limit": "bare ASGI, asyncpg",
    "core-together": "FastAPI, SQLAlchemy",
    "prepared": "FastAPI, asyncpg, compiled",
    "everything": "… with API key and route class",
}

HEADERS = "Host: bench\r\nX-API-Key: bench.secret\r\nIdempotency-Key: {id}\r\n"
BODY = '{"new_state": "SHIPPED", "reason": null, "tracking_number": "TRK-123456789", "carrier": "DHL"}'
REQUESTS = {
    "ship": f"PATCH /orders/{{id}}/state HTTP/1.1\r\n{HEADERS}Content-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n{BODY}",
    "read": f"GET /orders/{{id}} HTTP/1.1\r\n{HEADERS}\r\n",
}
COUNT_SHIPPED = """
SELECT count(*) FROM orders JOIN order_audit ON entity_id = orders.id AND digest = audit_head
                            JOIN outbox ON aggregateid = orders.id::text AND octet_length(payload) > 1000
WHERE status = 'SHIPPED' AND orders.id BETWEEN :'first' AND :'last';"""
Run = dict[str, Any]
NUMBERS = ("per_second", "p50_ms", "p99_ms", "server_us", "database_us")


class Bench:
    def __init__(self, postgres: Postgres, ports: dict[str, int], servers: dict[str, int]) -> None:
        self.postgres, self.ports, self.servers = postgres, ports, servers

    def measure(self, operation: str, variants: Sequence[str], rounds: int) -> dict[str, list[Run]]:
        runs: dict[str, list[Run]] = {variant: [] for variant in variants}
        for number in range(rounds + 1):
            self.refill(len(variants) * ORDERS_PER_RUN)
            for position, variant in enumerate(random.sample(variants, len(variants))):
                run = self.run(operation, variant, first_order=position * ORDERS_PER_RUN + 1)
                if number > 0:  # the first round is a warm-up
                    runs[variant].append(run)
        return runs

    def refill(self, orders: int) -> None:
        self.postgres.execute(f"\\set orders {orders}", (HERE / "hot_path_orders.sql").read_text())

    def run(self, operation: str, variant: str, first_order: int) -> Run:
        last_order = first_order + ORDERS_PER_RUN - 1
        server, database = cpu_seconds(self.servers[variant]), cpu_seconds(self.postgres.pid)
        load = (self.ports[variant], CONNECTIONS, SECONDS, first_order, last_order, REQUESTS[operation])
        run: Run = json.loads(python(str(HERE / "http_load.py"), *map(str, load)))
        if run["failures"]:
            raise SystemExit(f"{operation} by {variant} failed {run['failures']} times: {run['first_failure']}")
        run["server_us"] = (cpu_seconds(self.servers[variant]) - server) / run["requests"] * 1e6
        run["database_us"] = (cpu_seconds(self.postgres.pid) - database) / run["requests"] * 1e6
        if operation == "ship":
            self.check(run["requests"], first_order, last_order)
        return run

    def check(self, requests: int, first_order: int, last_order: int) -> None:
        """Exit unless each response has a shipped order, an audit row with the hash of the order, and an event."""
        ids = f"\\set first {first_order:032x}", f"\\set last {last_order:032x}"
        written = self.postgres.execute(*ids, COUNT_SHIPPED)
        if int(written) != requests:
            raise SystemExit(f"{requests} responses, but {written} shipped orders")


def main(rounds: int = 10) -> None:
    console = Console(width=140)
    with tempfile.TemporaryDirectory(prefix="hot-path-") as folder, _stack(Path(folder)) as bench:
        for operation, variants in (("ship", SHIP_VARIANTS), ("read", READ_VARIANTS)):
            console.print(_table(operation, variants, bench.measure(operation, tuple(variants), rounds)))


def _table(operation: str, variants: dict[str, str], runs: dict[str, list[Run]]) -> Table:
    columns = ("requests/s", "of limit", "spread", "processor", "p50 ms", "p99 ms", "server µs", "database µs")
    table = Table(
        "variant", title=f"{operation} one order, {CONNECTIONS} connections, {len(runs['limit'])} rounds, medians"
    )
    for column in columns:
        table.add_column(column, justify="right")
    for variant, variant_runs in runs.items():
        pairs = list(zip(variant_runs, runs["limit"], strict=True))
        rates = [run["per_second"] / limit["per_second"] for run, limit in pairs]
        low, middle, high = statistics.quantiles(rates, n=4) if len(rates) > 1 else rates * 3
        processor = statistics.median(_processor_us(limit) / _processor_us(run) for run, limit in pairs)
        medians = {name: statistics.median(run[name] for run in variant_runs) for name in NUMBERS}
        table.add_row(
            variants[variant],
            f"{medians['per_second']:,.0f}",
            f"{middle:.2f}",
            f"{low:.2f}-{high:.2f}",
            f"{processor:.2f}",
            *(f"{medians[name]:.1f}" for name in ("p50_ms", "p99_ms")),
            *(f"{medians[name]:.0f}" for name in ("server_us", "database_us")),
        )
    return table


def _processor_us(run: Run) -> float:
    return float(run["server_us"] + run["database_us"])


@contextlib.contextmanager
def _stack(folder: Path) -> Iterator[Bench]:
    """PostgreSQL with fsync on, and one uvicorn process for each variant; idle ones use no processor time."""
    with Postgres(folder / "postgres") as postgres, contextlib.ExitStack() as servers:
        python("-m", "benchmarks.hot_path_schema", postgres.dsn())
        ports = dict(zip(SHIP_VARIANTS, free_ports(len(SHIP_VARIANTS)), strict=True))
        pids = {}
        for variant, port in ports.items():
            server = process.spawn(
                [
                    *(sys.executable, "-m", "uvicorn", "--factory", "benchmarks.hot_path_servers:create"),
                    *("--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"),
                    *("--log-level", "warning"),
                ],
                log=folder / f"{variant}.log",
                environment=environment() | {"VARIANT": variant, "DSN": postgres.dsn()},
            )
            servers.callback(process.kill_session, server)
            pids[variant] = server.pid
        bench = Bench(postgres, ports, pids)
        bench.refill(1)
        for variant, port in ports.items():
            _wait_for(port, folder / f"{variant}.log")
        yield bench


def _wait_for(port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    request = urllib.request.Request(f"http://127.0.0.1:{port}/orders/{1:032x}", headers={"X-API-Key": "bench.secret"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310 - an address of our own
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"a server did not start: {process.tail(log)}") from error
            time.sleep(0.1)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
