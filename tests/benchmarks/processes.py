"""The memory of each role when it is idle, and the time from its start until it is ready."""

import contextlib
import time
from collections.abc import Iterator
from http.client import HTTPConnection

from benchmarks import subjects
from benchmarks.measuring import children, resident_bytes
from benchmarks.results import Result
from local_stack.program import Program
from local_stack.services import SERVICES
from local_stack.stack import Stack

STARTS = 3
WARM_UP = ("/metrics", "/livez", "/readyz", "/api/v1/health")
# Long enough for the first polls, heartbeats and updates of counts.
IDLE_SECONDS = 5.0
MEGABYTE = 1_000_000
MEMORY_CEILING = {"invoicing worker": 180}
START_CEILING, START_AIM = 3.0, 1.5
LIMIT = "bare ASGI"


def measure() -> Iterator[Result]:
    with subjects.stack() as stack, contextlib.ExitStack() as cleanup:
        programs = dict(_programs(stack))
        for program in programs.values():
            cleanup.callback(program.kill)
        starts: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(STARTS):
            for name, program in programs.items():
                program.stop()
                starts[name].append(_seconds_to_ready(program))
        for program in programs.values():
            _warm_up(program)
        time.sleep(IDLE_SECONDS)
        for name, program in programs.items():
            yield from _results(name, starts[name], program.pid)


def _programs(stack: Stack) -> Iterator[tuple[str, Program]]:
    for service, definition in SERVICES.items():
        for role in definition.roles:
            yield f"{service} {role}", subjects.program(stack, service, role)
    yield LIMIT, subjects.reference(stack, "benchmarks.limit_gateway:create")


def _seconds_to_ready(program: Program) -> float:
    start = time.monotonic()
    program.start()
    return time.monotonic() - start


def _warm_up(program: Program) -> None:
    for path in WARM_UP:
        connection = HTTPConnection("127.0.0.1", program.port, timeout=5)
        connection.request("GET", path)
        connection.getresponse().read()
        connection.close()


def _results(name: str, starts: list[float], pid: int) -> Iterator[Result]:
    memory = [resident_bytes(pid) / MEGABYTE]
    if name == LIMIT:
        yield Result.absolute(f"{name}, memory", "MB", memory)
        yield Result.absolute(f"{name}, start", "s", starts)
        return
    yield Result.absolute(f"{name}, memory", "MB", memory, floor=MEMORY_CEILING.get(name, 130), aim=100)
    if renderers := children(pid):
        yield Result.absolute(f"{name}, its children", "MB", [sum(map(resident_bytes, renderers)) / MEGABYTE])
    yield Result.absolute(f"{name}, start", "s", starts, floor=START_CEILING, aim=START_AIM)
