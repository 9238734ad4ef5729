"""Measurement: rounds in random order, processor time, memory, and the load clients as processes."""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.paced_load import Plan

TESTS = Path(__file__).resolve().parents[1]
CONNECTIONS = 32

Variant = TypeVar("Variant")
Run = TypeVar("Run")


@dataclass(frozen=True, slots=True)
class Load:
    """The result of a load run. Processor time is in microseconds per request."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    server_us: float
    database_us: float

    @property
    def processor_us(self) -> float:
        return self.server_us + self.database_us


@dataclass(frozen=True, slots=True)
class Requests:
    """`template` is an HTTP request, in which `{id}` is replaced by the number of an order, from `first` to `last`."""

    template: str
    first: int
    last: int


class LoadFailedError(Exception):
    """A request had no successful response."""


def interleaved(
    variants: Sequence[Variant], run: Callable[[Variant], Run], *, rounds: int, warm_up: int = 1
) -> dict[Variant, list[Run]]:
    """Run each variant once in every round, in random order, so that runs of the same time can be compared."""
    runs: dict[Variant, list[Run]] = {variant: [] for variant in variants}
    for number in range(warm_up + rounds):
        for variant in random.sample(variants, len(variants)):
            figures = run(variant)
            if number >= warm_up:
                runs[variant].append(figures)
    return runs


def load(targets: Sequence[tuple[int, Requests]], *, servers: Sequence[int], database: int, seconds: float) -> Load:
    """Keep `CONNECTIONS` busy for `seconds`, divided among the targets (ports and their requests).

    `servers` and `database` are process ids. Raises `LoadFailedError`.
    """
    before = sum(map(cpu_seconds, servers)), cpu_seconds(database)
    with ThreadPoolExecutor(len(targets)) as clients:
        results = list(
            clients.map(lambda each: _client(each[0], each[1], CONNECTIONS // len(targets), seconds), targets)
        )
    cpu_time = sum(map(cpu_seconds, servers)) - before[0], cpu_seconds(database) - before[1]
    for each in results:
        if each["failures"]:
            raise LoadFailedError(f"{each['failures']} requests failed: {each['first_failure']}")
    requests = sum(each["requests"] for each in results)
    server_us, database_us = (each / requests * 1e6 for each in cpu_time)
    rate = sum(each["per_second"] for each in results)
    p50, p99 = (max(each[name] for each in results) for name in ("p50_ms", "p99_ms"))
    return Load(requests, rate, p50, p99, server_us, database_us)


def _client(port: int, requests: Requests, connections: int, seconds: float) -> dict[str, Any]:
    arguments = (port, connections, seconds, requests.first, requests.last, requests.template)
    results: dict[str, Any] = json.loads(python(str(TESTS / "benchmarks" / "http_load.py"), *map(str, arguments)))
    return results


def paced(plan: Plan) -> dict[str, Any]:
    """Run the open-loop client and return its results; `seconds` are the latencies of all requests, by kind."""
    results: dict[str, Any] = json.loads(python("-m", "benchmarks.paced_load", stdin=json.dumps(plan)))
    return results


def python(*arguments: str, stdin: str = "") -> str:
    """Run a Python program with this interpreter and return its output."""
    return subprocess.run(
        [sys.executable, *arguments], env=environment(), check=True, input=stdin, stdout=subprocess.PIPE, text=True
    ).stdout


def environment() -> dict[str, str]:
    """The environment with the folder of the tests on the import path.

    Output is buffered: without a buffer, the end of a `print` that is larger than a pipe can be lost.
    """
    path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": ""}


def path_of_checkout(checkout: Path) -> str:
    """The import path, with the packages of another checkout in place of those of this one; the libraries are the
    same."""
    return environment()["PYTHONPATH"].replace(str(TESTS.parent), str(checkout.resolve()))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, including those that have ended (proc(5))."""
    ticks, parents = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = stat.read_text().rpartition(")")[2].split()
            child = int(stat.parent.name)
            parents[child], ticks[child] = int(fields[1]), sum(map(int, fields[11:15]))
    family = _descendants(pid, parents.items())
    return sum(ticks.get(each, 0) for each in family) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process with its shared pages, without its children."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def children(pid: int) -> list[int]:
    tasks = (Path("/proc") / str(pid) / "task").glob("*/children")
    return [int(child) for each in tasks for child in each.read_text().split()]


def _descendants(pid: int, parents: Iterable[tuple[int, int]]) -> Iterator[int]:
    yield pid
    pairs = list(parents)
    for child, parent in pairs:
        if parent == pid:
            yield from _descendants(child, pairs)
