"""What traces cost a request that places or ships an order: with a collector against without, interleaved.

    cd tests && python -m benchmarks.tracing_cost [rounds]

With `BASELINE=<checkout of another commit>` the role `api` of that one runs beside them, which shows what tracing costs
when it is off. All use the same database, libraries and client; the collector is a process of its own, not counted.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import subjects
from benchmarks.gateways import Bench, Server, processor_time
from benchmarks.measuring import environment, path_of_checkout
from benchmarks.operations import PLACE, SHIP
from benchmarks.orders_database import OrdersDatabase
from benchmarks.results import Result, table
from local_stack.stack import Stack
from rich.console import Console

ROUNDS = 9
OFF, ON, BEFORE = "traces off", "traces on", "the commit before"


def measure(rounds: int = ROUNDS) -> Iterator[Result]:
    with _servers() as (bench, off, on, before):
        servers = [off, on] if before is None else [off, on, before]
        for operation in (PLACE, SHIP):
            off_runs, on_runs, *before_runs = bench.measure(operation, *servers, rounds=rounds)
            name = f"{operation.name}, traces on"
            rates = [run.per_second for run in on_runs], [run.per_second for run in off_runs]
            yield Result.compared(name, "requests/s", *rates, to=OFF, floor=0.9)
            yield processor_time(name, on_runs, off_runs, OFF)
            for runs in before_runs:
                name = f"{operation.name}, traces off"
                rates = [run.per_second for run in off_runs], [run.per_second for run in runs]
                yield Result.compared(name, "requests/s", *rates, to=BEFORE, floor=0.99)
                yield processor_time(name, off_runs, runs, BEFORE)


@contextlib.contextmanager
def _servers() -> Iterator[tuple[Bench, Server, Server, Server | None]]:
    with contextlib.ExitStack() as running:
        stack = running.enter_context(subjects.stack("orders"))
        collector = running.enter_context(_collector())
        off = _api(running, stack, OFF)
        on = _api(running, stack, ON, OTEL_EXPORTER_OTLP_ENDPOINT=collector)
        baseline = os.environ.get("BASELINE")
        before = None if baseline is None else _api(running, stack, BEFORE, PYTHONPATH=path_of_checkout(Path(baseline)))
        yield Bench(OrdersDatabase(stack.postgres), stack.credentials.api_keys), off, on, before


def _api(running: contextlib.ExitStack, stack: Stack, name: str, **settings: str) -> Server:
    api = running.enter_context(subjects.another_program(stack, "orders", "api", **settings))
    return Server(name, api.port, api.pid)


@contextlib.contextmanager
def _collector() -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-m", "support.telemetry.otlp_receiver"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    Console(width=150).print(table(list(measure(*map(int, sys.argv[1:])))))
