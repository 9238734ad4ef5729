"""What the whole life of an order costs, with its invoice and e-mail, and with a return and its refund.

    cd tests && python -m benchmarks.whole_life [rounds]

A closed loop of clients drives an embedded stack with one process for each service (for each role with `ROLES=split`).
A round ends when all invoices and refunds are mailed and known to their orders and returns, and no event waits. With
`BASELINE=<checkout of another commit>` a stack of that one runs beside it, and their rounds alternate.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import subjects
from benchmarks.life_client import LifeClients
from benchmarks.life_costs import Databases, processor_ms, processor_times
from benchmarks.life_results import Kind, Round, details, totals
from benchmarks.measuring import path_of_checkout
from benchmarks.results import Result, table
from demo.own_stack import fresh_stack
from local_stack.stack_json import StackDescription
from rich.console import Console
from support.waiting import eventually

ROUNDS = 5
LIVES = 80
KINDS = (Kind(8, with_return=True), Kind(8, with_return=False), Kind(16, with_return=True), Kind(16, with_return=False))


@dataclass
class Running:
    """A stack with its clients, and how much has come of all their lives."""

    stack: StackDescription
    clients: LifeClients
    databases: Databases
    orders: int = 0
    returns: int = 0

    async def round(self, kind: Kind, lives: int) -> Round:
        self.clients.forget()
        times, counts, start = processor_times(), await self.databases.counts(), time.perf_counter()
        await self.clients.run(lives, clients=kind.clients, with_return=kind.with_return)
        self.orders += lives
        self.returns += lives * kind.with_return
        await eventually(self._is_over, within=120, pause=0.1)
        seconds, processor = time.perf_counter() - start, processor_ms(times, self.stack)
        counted = await self.databases.counts()
        counted.subtract(counts)
        await self.clients.note_waits()
        return Round(
            lives / seconds,
            {name: ms / lives for name, ms in processor.items()},
            {name: count / lives for name, count in counted.items()},
            {step: [each * 1000 for each in waits] for step, waits in self.clients.seconds.items()},
        )

    async def _is_over(self) -> bool:
        return (
            self.clients.mail_count() == self.orders + self.returns
            and await self.databases.ends() == (self.orders, self.returns)
            and await self.databases.is_quiet()
        )


def measure(rounds: int = ROUNDS) -> Iterator[Result]:
    os.environ.update(subjects.RATE_LIMIT)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, ExitStack() as running:
        stacks = [(Path(folder) / "now", running.enter_context(fresh_stack(Path(folder) / "now")))]
        if baseline := os.environ.get("BASELINE"):
            before = Path(folder) / "before"
            path = path_of_checkout(Path(baseline))
            stacks.append((before, running.enter_context(fresh_stack(before, PYTHONPATH=path))))
        yield from asyncio.run(_measure(stacks, rounds))


async def _measure(stacks: Sequence[tuple[Path, StackDescription]], rounds: int) -> list[Result]:
    """Each kind of life once in every round, on each stack; the first round warms up."""
    results: list[Result] = []
    async with _all_running(stacks) as running:
        for each in running:
            await each.round(KINDS[0], LIVES)
        runs: dict[Kind, list[list[Round]]] = {kind: [[] for _ in running] for kind in KINDS}
        for number in range(rounds):
            for kind in KINDS:
                for at in sorted(range(len(running)), reverse=number % 2 == 1):
                    runs[kind][at].append(await running[at].round(kind, LIVES))
    for kind in KINDS:
        now, *before = runs[kind]
        results += totals(kind, now, before[0] if before else None)
        if kind is KINDS[0]:
            results += details(kind, now, before[0] if before else None)
    return results


@asynccontextmanager
async def _all_running(stacks: Sequence[tuple[Path, StackDescription]]) -> AsyncIterator[list[Running]]:
    async with AsyncExitStack() as closing:
        yield [
            Running(stack, LifeClients(stack, folder), await Databases.connect(stack, closing))
            for folder, stack in stacks
        ]


if __name__ == "__main__":
    Console(width=150).print(table(list(measure(*map(int, sys.argv[1:])))))
