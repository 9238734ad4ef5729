"""Latency for the customer: from shipment to invoice in the mailbox, from completed return to refund in the ledger.

The whole embedded stack runs, with one process for each service, and gets its requests through the gateways.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import invoice_documents, subjects
from benchmarks.results import Result
from demo import journeys
from demo.client import Shop
from demo.own_stack import fresh_stack
from sandbox.mailbox.store import arrival_time
from support.waiting import eventually

PER_SECOND = 20
ROUNDS = 5
ORDERS_PER_ROUND = 30
ORDERS = ROUNDS * ORDERS_PER_ROUND
CONCURRENCY = 8  # of the requests that prepare orders and returns


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order of a benchmark, with its return if it has one."""

    number: int
    order_id: str
    return_id: str = ""

    @property
    def email(self) -> str:
        return f"customer-{self.number}@customers.example"

    @property
    def payment(self) -> str:
        return f"pi_benchmark_{self.number}"


def measure() -> Iterator[Result]:
    os.environ.update(subjects.RATE_LIMIT)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, fresh_stack(Path(folder)) as stack:
        yield from asyncio.run(_measure(Shop(stack), Path(folder) / "sandbox" / "mailbox" / "messages"))
    yield from invoice_documents.measure()


async def _measure(shop: Shop, mailbox: Path) -> list[Result]:
    try:
        orders = await concurrently(paid_order(shop, number) for number in range(ORDERS))
        shipped = await at_steady_rate(orders, lambda each: journeys.ship(shop, each.order_id))
        mailed = await times_of_all(orders, lambda: _mailed(mailbox, orders))
        returns = await concurrently(received_return(shop, each) for each in orders)
        completed = await at_steady_rate(
            returns, lambda each: journeys.move_return(shop, each.return_id, "warehouse", "COMPLETED")
        )
        refunded = await times_of_all(returns, lambda: booked_refunds(shop, returns))
    finally:
        await shop.close()
    return [
        *_latencies(f"{PER_SECOND} shipments/s to invoice e-mailed", shipped, mailed),
        *_latencies(f"{PER_SECOND} completions/s to refund booked", completed, refunded),
    ]


def _latencies(title: str, starts: dict[int, float], ends: dict[int, float]) -> Iterator[Result]:
    waits = [(ends[number] - start) * 1000 for number, start in sorted(starts.items())]
    rounds = [waits[first : first + ORDERS_PER_ROUND] for first in range(0, ORDERS, ORDERS_PER_ROUND)]
    yield Result.absolute(f"{title}, p50", "ms", [statistics.median(each) for each in rounds], floor=1000, aim=300)
    yield Result.absolute(f"{title}, p99", "ms", [statistics.quantiles(waits, n=100)[98]], floor=2000)


async def at_steady_rate(
    purchases: Sequence[Purchase], step: Callable[[Purchase], Awaitable[dict[str, Any]]]
) -> dict[int, float]:
    """Start the step for one purchase after the other at a steady rate; the time of each start, by number."""
    times: dict[int, float] = {}

    async def run(each: Purchase) -> None:
        times[each.number] = time.time()
        await step(each)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for position, each in enumerate(purchases):
            await asyncio.sleep(max(0.0, start + position / PER_SECOND - time.perf_counter()))
            group.create_task(run(each))
    return times


async def concurrently(work: Iterable[Awaitable[Purchase]]) -> list[Purchase]:
    slots = asyncio.Semaphore(CONCURRENCY)

    async def limited(each: Awaitable[Purchase]) -> Purchase:
        async with slots:
            return await each

    return await asyncio.gather(*map(limited, work))


async def paid_order(shop: Shop, number: int) -> Purchase:
    """Place and pay an order and pack it, so that it can be shipped."""
    purchase = Purchase(number, "")
    order = await journeys.place(shop, {**journeys.example("returned-order"), "customer_email": purchase.email})
    await journeys.pay(shop, order["id"], purchase.payment)
    await journeys.pack(shop, order["id"])
    return Purchase(number, order["id"])


async def received_return(shop: Shop, purchase: Purchase) -> Purchase:
    """Deliver an order and open a return that can be completed."""
    await journeys.deliver(shop, purchase.order_id)
    opened = await journeys.open_return(shop, purchase.order_id, "cracked")
    await journeys.approve(shop, opened["id"], "seen")
    await journeys.move_return(shop, opened["id"], "client", "IN_TRANSIT")
    await journeys.move_return(shop, opened["id"], "warehouse", "RECEIVED")
    return Purchase(purchase.number, purchase.order_id, opened["id"])


async def times_of_all(
    purchases: Sequence[Purchase], find: Callable[[], Awaitable[dict[int, float]]]
) -> dict[int, float]:
    """The time for each purchase, by number, when all have one."""
    times: dict[int, float] = {}

    async def all_found() -> bool:
        times.update(await find())
        return len(times) == len(purchases)

    await eventually(all_found, within=60, pause=0.2)
    return times


async def _mailed(mailbox: Path, purchases: Sequence[Purchase]) -> dict[int, float]:
    """The time at which each invoice was in the mailbox, according to the name of its file."""
    arrivals = await asyncio.to_thread(_arrivals, mailbox)
    return {each.number: arrivals[each.email] for each in purchases if each.email in arrivals}


def _arrivals(mailbox: Path) -> dict[str, float]:
    """The time of each message, by recipient; only invoices have been sent so far."""
    times = {}
    for path in mailbox.glob("[0-9a-f]*.eml"):
        envelope = path.read_bytes()[:400].decode(errors="replace")
        times[envelope.partition("Delivered-To: ")[2].partition("\r\n")[0]] = arrival_time(path.stem).timestamp()
    return times


async def booked_refunds(shop: Shop, purchases: Sequence[Purchase]) -> dict[int, float]:
    """The time at which the payment gateway stored each refund."""
    answer = await shop.fetch(f"{shop.stack['payment_sandbox']['url']}/sandbox/ledger")
    booked = {
        each["payment_intent"]: datetime.fromisoformat(each["recorded_at"]).timestamp()
        for each in answer.json()["refunds"]
    }
    return {each.number: booked[each.payment] for each in purchases if each.payment in booked}
