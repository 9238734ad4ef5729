"""What lives cost: processor time by process, and the commits, fsyncs and events that the databases count."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import asyncpg
from local_stack.stack_json import StackDescription

RENDERING, POSTGRESQL = "rendering", "PostgreSQL, shared"
_BACKEND = re.compile(r"postgres: \w+ (\w+) [\d.]+\(\d+\)")
_TICKS_PER_MS = os.sysconf("SC_CLK_TCK") / 1000
# What begins by itself later, such as a reminder, is not due.
_OPEN_WORK = """
    SELECT EXISTS (SELECT FROM outbox_pending)
        OR EXISTS (SELECT FROM jobs WHERE state = 'running' OR (state = 'ready' AND due_at <= now()))
"""
_ENDS = {
    "orders": "SELECT count(*) FROM order_invoices",
    "returns": "SELECT count(*) FROM returns WHERE refund_status = 'SUCCEEDED'",
}


class Times(NamedTuple):
    parent: int
    own: int
    ended_children: int


def processor_ms(before: Mapping[int, Times], stack: StackDescription) -> dict[str, float]:
    """Milliseconds since `before`, by the name of a process; PostgreSQL's also by database.

    A connection that was closed meanwhile counts as shared.
    """
    after = processor_times()
    ticks: Counter[str] = Counter()
    for process in stack["processes"]:
        name, pid = process["name"], process["pid"]
        own = after[pid].own - before[pid].own
        family = sum(_family(after, pid)) - sum(_family(before, pid))
        if name == "postgres":
            databases = {child: _database(child) for child in after if after[child].parent == pid}
            for child, database in databases.items():
                if database in stack["databases"]:
                    used = after[child].own - (before[child].own if child in before else 0)
                    ticks[f"PostgreSQL, {database}"] += used
                    family -= used
            ticks[POSTGRESQL] += family
        else:
            ticks[name] += own
            ticks[RENDERING] += family - own
    return {name: count / _TICKS_PER_MS for name, count in ticks.items()}


def processor_times() -> dict[int, Times]:
    """Of all processes, in ticks (proc(5))."""
    times = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        own, ended = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
        times[int(stat.parent.name)] = Times(int(fields[1]), own, ended)
    return times


def _family(times: Mapping[int, Times], pid: int) -> Iterator[int]:
    yield times[pid].own + times[pid].ended_children
    for child, each in times.items():
        if each.parent == pid:
            yield from _family(times, child)


def _database(pid: int) -> str | None:
    """The database of a connection's process, which PostgreSQL writes into its title."""
    try:
        title = (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    match = _BACKEND.match(title)
    return match and match[1]


@dataclass(frozen=True)
class Databases:
    """A connection to each service's database."""

    connections: "Mapping[str, asyncpg.Connection[asyncpg.Record]]"

    @classmethod
    async def connect(cls, stack: StackDescription, closing: AsyncExitStack) -> Self:
        connections = {name: await asyncpg.connect(dsn) for name, dsn in stack["databases"].items()}
        for each in connections.values():
            closing.push_async_callback(each.close)
        return cls(connections)

    async def counts(self) -> Counter[str]:
        """Since the server's start; PostgreSQL updates them about once a second."""
        counted: Counter[str] = Counter()
        for connection in self.connections.values():
            counted["events"] += await connection.fetchval("SELECT count(*) FROM outbox")
            counted["transactions"] += await connection.fetchval(
                "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
            )
        wal = next(iter(self.connections.values()))
        counted["fsyncs"] = int(await wal.fetchval("SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'"))
        return counted

    async def is_quiet(self) -> bool:
        """Whether no event and no job waits."""
        for each in self.connections.values():
            if await each.fetchval(_OPEN_WORK):
                return False
        return True

    async def ends(self) -> tuple[int, int]:
        """How many orders know their invoice, and how many returns their refund."""
        invoices, refunds = [await self.connections[name].fetchval(query) for name, query in _ENDS.items()]
        return invoices, refunds
