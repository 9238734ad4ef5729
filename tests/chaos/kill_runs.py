"""Kill a process at a random moment while an order is processed, and check that nothing is lost or duplicated.

    python tests/chaos/kill_runs.py [--runs 20] [--seed 7]

All runs use one stack with a process for each role (ROLES=split). In each run, an order is processed from placement to
refund, and one process gets SIGKILL; the stack restarts it. The processes are taken from a shuffled list, so that each
is killed once before one is killed again. The seed determines processes and moments. When a campaign fails, its last
line is the command that repeats it, and the folder with the logs of the stack is not removed.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from demo import journeys
from demo.client import Shop, Unexpected
from demo.kafka_reader import Seen, expect_gapless, read_events
from demo.own_stack import fresh_stack
from local_stack.stack_json import RunningProcess, StackDescription, running_stack
from rich.console import Console

NOT_KILLED = {"sandbox", "mailbox"}  # they stand for external systems
TIMEOUT_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Run:
    victim: str
    after_seconds: float
    seconds: float
    order: dict[str, Any]
    invoice_number: str
    refund_id: str
    mails: int


async def process_order(shop: Shop, number: str) -> dict[str, Any]:
    """Place an order, deliver, return and refund it; the order with its invoice, refund and number of e-mails."""
    order = await journeys.place(shop, journeys.example("returned-order"))
    await journeys.pay(shop, order["id"], f"pi_kill_run_{number}")
    await journeys.pack(shop, order["id"])
    await journeys.ship(shop, order["id"])
    await journeys.deliver(shop, order["id"])
    opened = await open_return(shop, order["id"])
    await journeys.approve(shop, opened["id"], "seen")
    await journeys.move_return(shop, opened["id"], "client", "IN_TRANSIT")
    await journeys.move_return(shop, opened["id"], "warehouse", "RECEIVED")
    await journeys.move_return(shop, opened["id"], "warehouse", "COMPLETED")
    refunded = await journeys.refunded(shop, f"/returns/{opened['id']}", service="returns")
    invoice = await journeys.invoice(shop, order["id"])
    await journeys.invoice_pdf(shop, invoice)
    mails = await journeys.mails_about(shop, invoice["invoice_number"])
    booked = await journeys.ledger(shop, f"pi_kill_run_{number}")
    if [refund["id"] for refund in booked] != [refunded["refund_transaction_id"]]:
        raise Unexpected(f"the gateway's books say {booked}, the return says {refunded['refund_transaction_id']}")
    return {"order": order, "invoice": invoice, "refund": refunded["refund_transaction_id"], "mails": len(mails)}


async def open_return(shop: Shop, order_id: str) -> dict[str, Any]:
    """Retry while the returns gateway does not know of the delivery: the lease of a killed relay lasts longer than a
    request waits (docs/adr/0009), so a request can be rejected for some seconds."""

    async def opened() -> dict[str, Any] | None:
        body = {"order_id": order_id, "reason": "cracked"}
        response = await shop.as_role("client", "POST", "/returns", body, service="returns")
        return response.json() if response.status_code == 201 else None

    return await shop.eventually(f"a return of order {order_id}", opened)


async def time_order(shop: Shop, number: str) -> float:
    start = time.monotonic()
    await process_order(shop, number)
    return time.monotonic() - start


async def kill(folder: Path, name: str, after_seconds: float) -> int:
    """Send SIGKILL to the process of this name after a delay; its pid."""
    await asyncio.sleep(after_seconds)
    pid = process_of(running_stack(folder), name)["pid"]
    os.kill(pid, signal.SIGKILL)
    return pid


async def killed_run(shop: Shop, folder: Path, number: int, victim: str, after_seconds: float) -> Run:
    start = time.monotonic()
    order, pid = await asyncio.gather(process_order(shop, str(number)), kill(folder, victim, after_seconds))
    seconds = time.monotonic() - start

    async def restarted() -> bool | None:
        return process_of(running_stack(folder), victim)["pid"] != pid or None

    await shop.eventually(f"a new process for {victim}", restarted)
    return Run(
        victim,
        after_seconds,
        seconds,
        order["order"],
        order["invoice"]["invoice_number"],
        order["refund"],
        order["mails"],
    )


def process_of(stack: StackDescription, name: str) -> RunningProcess:
    return next(process for process in stack["processes"] if process["name"] == name)


def in_turn(stack: StackDescription, dice: random.Random) -> Iterator[str]:
    names = [process["name"] for process in stack["processes"] if process["name"] not in NOT_KILLED]
    while True:
        yield from dice.sample(names, len(names))


async def campaign(stack: StackDescription, folder: Path, runs: int, seed: int, console: Console) -> list[Run]:
    dice = random.Random(seed)
    shop = Shop(stack, patience=TIMEOUT_SECONDS)
    done: list[Run] = []
    try:
        undisturbed = min([await time_order(shop, f"undisturbed_{number}") for number in range(3)])
        console.print(f"without a kill, an order takes {undisturbed:.2f} s")
        for number, victim in zip(range(1, runs + 1), in_turn(stack, dice), strict=False):
            run = await killed_run(shop, folder, number, victim, dice.uniform(0, undisturbed))
            done.append(run)
            console.print(
                f"{number:3}  {run.victim:20} killed after {run.after_seconds:4.2f} s,"
                f" done in {run.seconds:5.1f} s: {run.invoice_number}, {run.mails} mail(s), {run.refund_id}",
                soft_wrap=True,
            )
        check(await read_events(stack["kafka"]["bootstrap"]), done)
        await expect_no_discrepancy(shop, stack)
    finally:
        await shop.close()
    return done


async def expect_no_discrepancy(shop: Shop, stack: StackDescription) -> None:
    """The reconcilers, which ran all the time, found nothing. Raises `Unexpected`."""
    for service in stack["services"]:
        response = await shop.as_role("ops", "GET", "/ops/discrepancies", service=service)
        if found := response.json()["data"]:
            raise Unexpected(f"the reconciler of {service} found {found}")


def check(events: list[Seen], runs: list[Run]) -> None:
    """Check the events: each key in sequence, one invoice and one refund for each order. Raises `Unexpected`."""
    expect_gapless(events)
    for run in runs:
        own = [event for event in events if event.key == run.order["id"] and not event.repeat]
        for event_type in ("order.shipped", "return.completed", "invoice.issued", "refund.succeeded"):
            if (count := sum(event.type == event_type for event in own)) != 1:
                raise Unexpected(
                    f"{count} events {event_type} of {run.order['order_number']} after {run.victim} was killed"
                )
    if len({run.invoice_number for run in runs}) != len(runs):
        raise Unexpected("an invoice number was used twice")


@contextmanager
def repeatable(runs: int, seed: int, folder: Path) -> Iterator[None]:
    """When the block fails, exit with status 1 and print the command that repeats the campaign."""
    try:
        yield
    except BaseException as failure:
        if not isinstance(failure, Unexpected):
            traceback.print_exc()
        print(f"kill runs failed: {str(failure) or type(failure).__name__}", file=sys.stderr)
        print(f"the stack's logs are in {folder}", file=sys.stderr)
        print(f"repeat with: make kill-runs RUNS={runs} SEED={seed}", file=sys.stderr, flush=True)
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    console = Console(highlight=False)
    print(f"seed {arguments.seed}, {arguments.runs} runs", flush=True)
    os.environ |= {"ROLES": "split", "RETRY_UNIT_SECONDS": "1", "RATE_LIMIT_PER_MINUTE": "0", "RECONCILE_SECONDS": "3"}
    folder = Path(mkdtemp(prefix="articurated-kill-runs-"))
    os.environ["STACK_DIR"] = str(folder)
    with repeatable(arguments.runs, arguments.seed, folder), fresh_stack(folder) as stack:
        runs = asyncio.run(campaign(stack, folder, arguments.runs, arguments.seed, console))
    shutil.rmtree(folder)
    victims = {run.victim for run in runs}
    repeated_mails = sum(run.mails - 1 for run in runs)
    console.print(
        f"{len(runs)} of {arguments.runs} runs complete, {len(victims)} different processes killed,"
        f" each with one invoice and one refund; {repeated_mails} e-mail(s) sent again",
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
