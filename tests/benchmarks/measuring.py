"""How benchmarks measure: rounds of neighbours in random order, processor time, and the load client as a process."""

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

Way = TypeVar("Way")
Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Load:
    """What one load run saw. Processor time is in microseconds per request."""

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
    """`template` is a whole HTTP request; `{id}` in it stands for the number of an order, from `first` to `last`."""

    template: str
    first: int
    last: int


class LoadFailed(Exception):
    """A request was not answered with success."""


def interleaved(
    ways: Sequence[Way], run: Callable[[Way], Measured], *, rounds: int, warm_up: int = 1
) -> dict[Way, list[Measured]]:
    """Run each way once in every round, in random order, so that neighbours in time can be compared."""
    runs: dict[Way, list[Measured]] = {way: [] for way in ways}
    for number in range(warm_up + rounds):
        for way in random.sample(ways, len(ways)):
            measured = run(way)
            if number >= warm_up:
                runs[way].append(measured)
    return runs


def load(targets: Sequence[tuple[int, Requests]], *, servers: Sequence[int], database: int, seconds: float) -> Load:
    """Keep `CONNECTIONS` busy for that long, shared by the targets (ports and what to ask there).

    `servers` and `database` are process ids. Raises `LoadFailed`.
    """
    before = sum(map(cpu_seconds, servers)), cpu_seconds(database)
    with ThreadPoolExecutor(len(targets)) as clients:
        seen = list(clients.map(lambda each: _client(each[0], each[1], CONNECTIONS // len(targets), seconds), targets))
    spent = sum(map(cpu_seconds, servers)) - before[0], cpu_seconds(database) - before[1]
    for each in seen:
        if each["failures"]:
            raise LoadFailed(f"{each['failures']} requests failed: {each['first_failure']}")
    requests = sum(each["requests"] for each in seen)
    server_us, database_us = (each / requests * 1e6 for each in spent)
    rate = sum(each["per_second"] for each in seen)
    p50, p99 = (max(each[name] for each in seen) for name in ("p50_ms", "p99_ms"))
    return Load(requests, rate, p50, p99, server_us, database_us)


def _client(port: int, requests: Requests, connections: int, seconds: float) -> dict[str, Any]:
    arguments = (port, connections, seconds, requests.first, requests.last, requests.template)
    seen: dict[str, Any] = json.loads(python(str(TESTS / "benchmarks" / "http_load.py"), *map(str, arguments)))
    return seen


def paced(plan: Plan) -> dict[str, Any]:
    """Run the open-loop client, and return what it saw; `seconds` are each request's, by kind."""
    seen: dict[str, Any] = json.loads(python("-m", "benchmarks.paced_load", given=json.dumps(plan)))
    return seen


def python(*arguments: str, given: str = "") -> str:
    """Run a program of ours with this interpreter, give it this to read, and return what it prints."""
    return subprocess.run(
        [sys.executable, *arguments], env=environment(), check=True, input=given, stdout=subprocess.PIPE, text=True
    ).stdout


def environment() -> dict[str, str]:
    """Ours, with the folder of the tests on the import path, and buffers: without them, a `print` of more than a pipe
    holds may lose its end."""
    path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": ""}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, of its living descendants, and of those that ended and were waited for
    (proc(5)): a server's workers come and go."""
    ticks, parents = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = stat.read_text().rpartition(")")[2].split()
            child = int(stat.parent.name)
            parents[child], ticks[child] = int(fields[1]), sum(map(int, fields[11:15]))
    family = _family(pid, parents.items())
    return sum(ticks.get(each, 0) for each in family) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """What a process holds in memory, shared pages included; of its children nothing."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def children(pid: int) -> list[int]:
    tasks = (Path("/proc") / str(pid) / "task").glob("*/children")
    return [int(child) for each in tasks for child in each.read_text().split()]


def _family(pid: int, parents: Iterable[tuple[int, int]]) -> Iterator[int]:
    yield pid
    pairs = list(parents)
    for child, parent in pairs:
        if parent == pid:
            yield from _family(child, pairs)
