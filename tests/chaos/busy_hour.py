"""Normal traffic with kills: the reconcilers, which run all the time, must find nothing.

    cd tests; python -m chaos.busy_hour [--minutes 60] [--clients 3] [--seed 7]

Clients process orders from placement to refund, one after the other, in a stack with a process for each role
(ROLES=split). Every few seconds a process gets SIGKILL, and the stack restarts it. The trial balance of the book is
asked all the time, and must be 0.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from chaos.kill_runs import TIMEOUT_SECONDS, expect_no_discrepancy, in_turn, kill, process_of, process_order
from demo.client import Shop, Unexpected
from demo.kafka_reader import expect_gapless, read_events
from demo.own_stack import fresh_stack
from local_stack.stack_json import StackDescription, running_stack
from rich.console import Console

# Between two kills.
PAUSES = (3.0, 9.0)
# Longer than the limit of the checks and two of their rounds.
AFTERWARDS_SECONDS = 90


@dataclass(slots=True)
class Hour:
    """What has happened so far."""

    until: float
    orders: int = 0
    balances: int = 0
    killed: Counter[str] = field(default_factory=Counter)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until


async def process_orders(shop: Shop, hour: Hour, client: int) -> None:
    number = 0
    while not hour.is_over:
        number += 1
        await process_order(shop, f"{client}_{number}")
        hour.orders += 1


async def kill_one_after_the_other(stack: StackDescription, folder: Path, hour: Hour, dice: random.Random) -> None:
    shop = Shop(stack, patience=TIMEOUT_SECONDS)
    victims = in_turn(stack, dice)
    while not hour.is_over:
        victim = next(victims)
        pid = await kill(folder, victim, dice.uniform(*PAUSES))
        hour.killed[victim] += 1

        async def restarted(name: str = victim, before: int = pid) -> bool | None:
            return process_of(running_stack(folder), name)["pid"] != before or None

        await shop.eventually(f"a new process for {victim}", restarted)
    await shop.close()


async def ask_for_the_trial_balance(shop: Shop, hour: Hour) -> None:
    while not hour.is_over:
        book = await shop.expect(200, "ops", "GET", "/refunds/book", service="refunds")
        if not book["is_zero"]:
            raise Unexpected(f"the trial balance is not 0: {book['accounts']}")
        hour.balances += 1
        await asyncio.sleep(0.2)


async def busy_hour(stack: StackDescription, folder: Path, minutes: float, clients: int, seed: int) -> Hour:
    """Raises `Unexpected` for an order that is not processed, or anything that a reconciler has found."""
    hour, dice = Hour(time.monotonic() + minutes * 60), random.Random(seed)
    shop = Shop(stack, patience=TIMEOUT_SECONDS)
    try:
        async with asyncio.TaskGroup() as group:
            for client in range(clients):
                group.create_task(process_orders(shop, hour, client))
            group.create_task(kill_one_after_the_other(stack, folder, hour, dice))
            group.create_task(ask_for_the_trial_balance(shop, hour))
        await asyncio.sleep(AFTERWARDS_SECONDS)
        await expect_no_discrepancy(shop, stack)
        expect_gapless(await read_events(stack["kafka"]["bootstrap"]))
    finally:
        await shop.close()
    return hour


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    os.environ |= {"ROLES": "split", "RETRY_UNIT_SECONDS": "1", "RATE_LIMIT_PER_MINUTE": "0", "RECONCILE_SECONDS": "3"}
    folder = Path(mkdtemp(prefix="articurated-busy-hour-"))
    os.environ["STACK_DIR"] = str(folder)
    with fresh_stack(folder) as stack:
        try:
            hour = asyncio.run(busy_hour(stack, folder, arguments.minutes, arguments.clients, arguments.seed))
        except* Unexpected as failures:
            for failure in failures.exceptions:
                print(f"the busy hour failed: {failure}; the stack's logs are in {folder}", file=sys.stderr, flush=True)
            sys.exit(1)
    shutil.rmtree(folder)
    Console(highlight=False).print(
        f"{arguments.minutes:g} minutes: {hour.orders} orders from placement to refund, {hour.killed.total()} kills of"
        f" {len(hour.killed)} different processes, 0 findings; the trial balance was 0 each of {hour.balances} times",
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
