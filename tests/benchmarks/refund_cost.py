"""Processor time of a refund in the refunds service, at a steady rate, from the completed return to the booked refund.

The whole embedded stack runs, with one process for each service. To compare two commits, run it in both checkouts in
turns.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import pipelines, subjects
from benchmarks.measuring import cpu_seconds
from benchmarks.pipelines import ORDERS_PER_ROUND, PER_SECOND, Purchase
from benchmarks.results import Result
from demo import journeys
from demo.client import Shop
from demo.own_stack import fresh_stack

ROUNDS = 6


def measure() -> Iterator[Result]:
    os.environ.update(subjects.RATE_LIMIT)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, fresh_stack(Path(folder)) as stack:
        figures = asyncio.run(_measure(Shop(stack)))
    yield Result.absolute(f"a refund at {PER_SECOND}/s, processor time of refunds", "ms", figures)


async def _measure(shop: Shop) -> list[float]:
    """Milliseconds of each round; the first one warms up."""
    pid = next(each["pid"] for each in shop.stack["processes"] if each["name"] == "refunds")
    rounds = []
    try:
        for number in range(ROUNDS + 1):
            purchases = [await _purchase(shop, number * ORDERS_PER_ROUND + each) for each in range(ORDERS_PER_ROUND)]
            idle = await _idle_share(pid)
            rounds.append(await _round(shop, purchases, pid, idle))
    finally:
        await shop.close()
    return rounds[1:]


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
