"""A night's work: many lives of orders, a process killed every minute, in pieces that go on with the data of the last.

    cd tests; python -m chaos.night_work --folder ../.local/night [--lives 1000000] [--minutes 20] [--clients 12]

Of a hundred orders, 93 are delivered, 5 of them returned and refunded, and 2 cancelled after the payment, each with
invoice and e-mails. After each piece everything is checked (`night_checks`), and the figures of all pieces so far are
printed; run the command again for the next piece. `progress.json` in the folder has what later pieces need.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measuring import resident_bytes
from chaos.kill_runs import in_turn, kill
from chaos.night_checks import check
from chaos.night_clients import NightClients
from demo.client import Unexpected
from demo.own_stack import running
from local_stack.stack_json import StackDescription, running_stack

KILL_SECONDS = 60.0
SETTINGS = {"ROLES": "split", "RETRY_UNIT_SECONDS": "1", "RATE_LIMIT_PER_MINUTE": "0"}


@dataclass
class Progress:
    """Of all pieces so far: `per_minute` has the lives of each whole minute, `memory` the bytes of all processes then,
    and `killed` how often each process was killed."""

    lives: int = 0
    per_minute: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    killed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> "Progress":
        return cls(**json.loads(file.read_text())) if file.exists() else cls()

    def describe(self) -> str:
        hour = min(60, len(self.per_minute) // 2)
        speed, memory = _last_to_first(self.per_minute, hour), _last_to_first(self.memory, hour)
        return (
            f"{self.lives} lives in {len(self.per_minute)} minutes, {sum(self.killed.values())} kills of"
            f" {len(self.killed)} processes; of the first {hour} minutes, the last {hour} had {speed:.2f} of the lives"
            f" and {memory:.2f} of the memory"
        )


async def work(stack: StackDescription, folder: Path, progress: Progress, minutes: float, clients: int) -> str:
    """One piece. Raises `Unexpected`."""
    numbers = iter(range(progress.lives + 1, sys.maxsize))
    night, until = NightClients(stack, numbers), time.monotonic() + minutes * 60
    around = asyncio.gather(_kill(stack, folder, progress), _note(folder, night, progress))
    try:
        await night.run(clients, until)
    finally:
        around.cancel()
        await asyncio.gather(around, return_exceptions=True)
    progress.lives += night.done
    return await check(running_stack(folder), folder, progress.lives)


async def _kill(stack: StackDescription, folder: Path, progress: Progress) -> None:
    for victim in in_turn(stack, random.Random(progress.lives)):
        await kill(folder, victim, KILL_SECONDS)
        progress.killed[victim] = progress.killed.get(victim, 0) + 1


async def _note(folder: Path, night: NightClients, progress: Progress) -> None:
    while True:
        before = night.done
        await asyncio.sleep(60)
        progress.per_minute.append(night.done - before)
        progress.memory.append(await asyncio.to_thread(_memory, running_stack(folder)))


def _memory(stack: StackDescription) -> int:
    """Of the services. The memory of PostgreSQL and Kafka are buffers of a fixed size."""
    total = 0
    for process in stack["processes"]:
        if process["name"] in {"postgres", "kafka"}:
            continue
        with contextlib.suppress(OSError, IndexError):  # it was killed just now
            total += resident_bytes(process["pid"])
    return total


def _last_to_first(figures: Sequence[int], count: int) -> float:
    return statistics.mean(figures[-count:]) / statistics.mean(figures[:count]) if count else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--lives", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--clients", type=int, default=12)
    options = parser.parse_args()
    folder = options.folder.resolve()
    file, progress = folder / "progress.json", Progress.load(folder / "progress.json")
    os.environ |= {**SETTINGS, "STACK_DIR": str(folder)}
    if progress.lives >= options.lives:
        print(f"done: {progress.describe()}")
        return
    with running(folder) as stack:
        try:
            seen = asyncio.run(work(stack, folder, progress, options.minutes, options.clients))
        except* Unexpected as failures:
            sys.exit(f"the night's work failed: {failures.exceptions[0]}; the stack's data and logs are in {folder}")
    file.write_text(json.dumps(asdict(progress)))
    print(f"{progress.describe()}; nothing lost, doubled or left, numbers without a gap, {seen}")


if __name__ == "__main__":
    main()
