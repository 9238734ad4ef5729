"""Processor time of a refund in the refunds service, at a steady rate, from the completed return to the booked refund.

The whole embedded stack runs, with one process for each service. With `BASELINE=<another checkout>` a stack of that one
runs beside it, and their rounds alternate.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import pipelines, subjects
from benchmarks.measuring import cpu_seconds, path_of_checkout
from benchmarks.pipelines import ORDERS_PER_ROUND, PER_SECOND, Purchase
from benchmarks.results import Result
from demo import journeys
from demo.client import Shop
from demo.own_stack import fresh_stack

ROUNDS = 6


def measure() -> Iterator[Result]:
    os.environ.update(subjects.RATE_LIMIT)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, ExitStack() as running:
        stacks = [running.enter_context(fresh_stack(Path(folder) / "now"))]
        if baseline := os.environ.get("BASELINE"):
            before = {"PYTHONPATH": path_of_checkout(Path(baseline))}
            stacks.append(running.enter_context(fresh_stack(Path(folder) / "before", **before)))
        now, *others = asyncio.run(_measure([Shop(stack) for stack in stacks]))
    name = f"a refund at {PER_SECOND}/s, processor time of refunds"
    if others:
        yield Result.compared(name, "ms", now, others[0], to="the commit before", is_ceiling=True)
    else:
        yield Result.absolute(name, "ms", now)


async def _measure(shops: Sequence[Shop]) -> list[list[float]]:
    """Milliseconds of each round, by stack; the first one warms up."""
    rounds: list[list[float]] = [[] for _ in shops]
    try:
        for number in range(ROUNDS + 1):
            for shop, figures in zip(shops, rounds, strict=True):
                pid = next(each["pid"] for each in shop.stack["processes"] if each["name"] == "refunds")
                first = number * ORDERS_PER_ROUND
                purchases = [await _purchase(shop, first + each) for each in range(ORDERS_PER_ROUND)]
                figures.append(await _round(shop, purchases, pid, await _idle_share(pid)))
    finally:
        for shop in shops:
            await shop.close()
    return [figures[1:] for figures in rounds]


async def _purchase(shop: Shop, number: int) -> Purchase:
    purchase = await pipelines.paid_order(shop, number)
    await journeys.ship(shop, purchase.order_id)
    return await pipelines.received_return(shop, purchase)


async def _idle_share(pid: int) -> float:
    """Processor seconds a second without refunds."""
    before = cpu_seconds(pid)
    await asyncio.sleep(2)
    return (cpu_seconds(pid) - before) / 2


async def _round(shop: Shop, purchases: list[Purchase], pid: int, idle: float) -> float:
    loop = asyncio.get_running_loop()
    start, before = loop.time(), cpu_seconds(pid)
    await pipelines.at_steady_rate(
        purchases, lambda each: journeys.move_return(shop, each.return_id, "warehouse", "COMPLETED")
    )
    await pipelines.times_of_all(purchases, lambda: pipelines.booked_refunds(shop, purchases))
    await asyncio.sleep(1)  # the e-mails and events that follow belong to the refund too
    seconds = cpu_seconds(pid) - before - idle * (loop.time() - start)
    return seconds * 1000 / len(purchases)
