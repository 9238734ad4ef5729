"""What customers wait for: a shipment's invoice in the mailbox, a completed return's refund in the gateway's books.

The whole embedded stack runs, a process per service as by default, and is driven through its gateways.
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
AT_ONCE = 8  # while orders and returns are brought to where they are to be shipped and completed


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order that a benchmark leads through its life; `return_id` is there once it is sent back."""

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
        orders = await _all(_paid_order(shop, number) for number in range(ORDERS))
        shipped = await _paced(orders, lambda each: journeys.ship(shop, each.order_id))
        mailed = await _all_of(orders, lambda: _mailed(mailbox, orders))
        returns = await _all(_received_return(shop, each) for each in orders)
        completed = await _paced(
            returns, lambda each: journeys.move_return(shop, each.return_id, "warehouse", "COMPLETED")
        )
        refunded = await _all_of(returns, lambda: _refunded(shop, returns))
    finally:
        await shop.close()
    return [
        *_latencies(f"{PER_SECOND} shipments/s to invoice e-mailed", shipped, mailed),
        *_latencies(f"{PER_SECOND} completions/s to refund booked", completed, refunded),
    ]


def _latencies(title: str, began: dict[int, float], ended: dict[int, float]) -> Iterator[Result]:
    waits = [(ended[number] - at) * 1000 for number, at in sorted(began.items())]
    rounds = [waits[first : first + ORDERS_PER_ROUND] for first in range(0, ORDERS, ORDERS_PER_ROUND)]
    yield Result.absolute(f"{title}, p50", "ms", [statistics.median(each) for each in rounds], floor=1000, aim=300)
    yield Result.absolute(f"{title}, p99", "ms", [statistics.quantiles(waits, n=100)[98]], floor=2000)


async def _paced(
    purchases: Sequence[Purchase], step: Callable[[Purchase], Awaitable[dict[str, Any]]]
) -> dict[int, float]:
    """Take the step for one after the other at the steady rate; when each was asked for, by its number."""
    asked: dict[int, float] = {}

    async def ask(each: Purchase) -> None:
        asked[each.number] = time.time()
        await step(each)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for position, each in enumerate(purchases):
            await asyncio.sleep(max(0.0, began + position / PER_SECOND - time.perf_counter()))
            group.create_task(ask(each))
    return asked


async def _all(work: Iterable[Awaitable[Purchase]]) -> list[Purchase]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[Purchase]) -> Purchase:
        async with gate:
            return await each

    return await asyncio.gather(*map(one, work))


async def _paid_order(shop: Shop, number: int) -> Purchase:
    """Packed too, and ready to be shipped."""
    new = Purchase(number, "")
    order = await journeys.place(shop, {**journeys.example("returned-order"), "customer_email": new.email})
    await journeys.pay(shop, order["id"], new.payment)
    await journeys.pack(shop, order["id"])
    return Purchase(number, order["id"])


async def _received_return(shop: Shop, purchase: Purchase) -> Purchase:
    """Ready to be completed."""
    await journeys.deliver(shop, purchase.order_id)
    opened = await journeys.open_return(shop, purchase.order_id, "cracked")
    await journeys.approve(shop, opened["id"], "seen")
    await journeys.move_return(shop, opened["id"], "client", "IN_TRANSIT")
    await journeys.move_return(shop, opened["id"], "warehouse", "RECEIVED")
    return Purchase(purchase.number, purchase.order_id, opened["id"])


async def _all_of(purchases: Sequence[Purchase], find: Callable[[], Awaitable[dict[int, float]]]) -> dict[int, float]:
    """When it happened to each, once it has happened to all."""
    found: dict[int, float] = {}

    async def all_found() -> bool:
        found.update(await find())
        return len(found) == len(purchases)

    await eventually(all_found, within=60, pause=0.2)
    return found


async def _mailed(mailbox: Path, purchases: Sequence[Purchase]) -> dict[int, float]:
    """When an invoice was in the mailbox, by its file's name."""
    arrivals = await asyncio.to_thread(_arrivals, mailbox)
    return {each.number: arrivals[each.email] for each in purchases if each.email in arrivals}


def _arrivals(mailbox: Path) -> dict[str, float]:
    """By recipient; the refunds' messages are not there yet."""
    found = {}
    for path in mailbox.glob("[0-9a-f]*.eml"):
        envelope = path.read_bytes()[:400].decode(errors="replace")
        found[envelope.partition("Delivered-To: ")[2].partition("\r\n")[0]] = arrival_time(path.stem).timestamp()
    return found


async def _refunded(shop: Shop, purchases: Sequence[Purchase]) -> dict[int, float]:
    """When the gateway booked a refund."""
    answer = await shop.fetch(f"{shop.stack['payment_sandbox']['url']}/sandbox/ledger")
    booked = {
        each["payment_intent"]: datetime.fromisoformat(each["recorded_at"]).timestamp()
        for each in answer.json()["refunds"]
    }
    return {each.number: booked[each.payment] for each in purchases if each.payment in booked}
