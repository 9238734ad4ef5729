"""Lose one hop after the other on purpose, and measure when the reconciler names it and the order is in order again.

    python tests/chaos/lost_hops.py [--rounds 1]

Each loss is made in a stack with a process for each role (ROLES=split): the process that would make the hop is paused,
what it should find is deleted from its database, and the process continues. No other part of the system detects the
loss.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import UUID

import asyncpg
from demo import journeys
from demo.client import Shop
from demo.own_stack import fresh_stack
from local_stack.stack_json import StackDescription
from rich.console import Console
from rich.table import Table

PATIENCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Loss:
    """`lose` returns when the hop is lost; `is_well` is asked until it is true."""

    what: str
    service: str
    check: str
    lose: Callable[["Trial", str], Awaitable[None]]
    is_well: Callable[["Trial", str], Awaitable[bool]]


class Trial:
    def __init__(self, stack: StackDescription) -> None:
        self.stack = stack
        self.shop = Shop(stack, patience=PATIENCE_SECONDS)
        self._number = 0

    async def sql(self, service: str, statement: str, *parameters: object) -> Any:
        connection = await asyncpg.connect(self.stack["databases"][service])
        try:
            return await connection.fetchval(statement, *parameters)
        finally:
            await connection.close()

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        pid = next(each["pid"] for each in self.stack["processes"] if each["name"] == name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def packed_order(self) -> str:
        self._number += 1
        order = await journeys.place(self.shop, journeys.example("returned-order"))
        await journeys.pay(self.shop, order["id"], f"pi_lost_hop_{self._number}")
        await journeys.pack(self.shop, order["id"])
        return str(order["id"])

    async def received_return(self, order_id: str) -> str:
        await journeys.ship(self.shop, order_id)
        await journeys.deliver(self.shop, order_id)
        opened = await journeys.open_return(self.shop, order_id, "cracked")
        await journeys.approve(self.shop, opened["id"], "seen")
        await journeys.move_return(self.shop, opened["id"], "client", "IN_TRANSIT")
        await journeys.move_return(self.shop, opened["id"], "warehouse", "RECEIVED")
        return str(opened["id"])

    async def complete(self, return_id: str) -> None:
        await journeys.move_return(self.shop, return_id, "warehouse", "COMPLETED")

    async def return_of(self, order_id: str) -> dict[str, Any]:
        listed = await self.shop.expect(200, "ops", "GET", f"/returns?order_id={order_id}", service="returns")
        found: dict[str, Any] = listed["data"][0]
        return found

    async def until(self, service: str, statement: str, *parameters: object) -> None:
        async def is_there() -> bool | None:
            return bool(await self.sql(service, statement, *parameters)) or None

        await self.shop.eventually(statement, is_there)


_PENDING = "EXISTS (SELECT FROM outbox_pending JOIN outbox USING (position) WHERE key = $1 AND type = $2)"
_DROP = "DELETE FROM outbox_pending USING outbox WHERE outbox.position = outbox_pending.position AND key = $1"


async def drop_shipped(trial: Trial, order_id: str) -> None:
    with trial.paused("orders-relay"):
        await journeys.ship(trial.shop, order_id)
        await trial.until("orders", f"SELECT {_PENDING}", order_id, "order.shipped")
        await trial.sql("orders", _DROP, order_id)


async def lose_invoice_job(trial: Trial, order_id: str) -> None:
    with trial.paused("invoicing-worker"):
        await journeys.ship(trial.shop, order_id)
        await trial.until("invoicing", "SELECT EXISTS (SELECT FROM jobs WHERE business_key = $1)", order_id)
        await trial.sql("invoicing", "DELETE FROM jobs WHERE business_key = $1", order_id)


async def lose_refund_job(trial: Trial, order_id: str) -> None:
    return_id = await trial.received_return(order_id)
    with trial.paused("refunds-worker"):
        await trial.complete(return_id)
        await trial.until("refunds", "SELECT EXISTS (SELECT FROM refunds WHERE order_id = $1)", UUID(order_id))
        await trial.sql("refunds", "DELETE FROM jobs WHERE business_key = $1", f"return:{return_id}")


async def skip_result(trial: Trial, order_id: str) -> None:
    """Move the consumer of returns past the record without processing it, as after a commit of the offset alone."""
    return_id = await trial.received_return(order_id)
    await trial.complete(return_id)
    await journeys.refunded(trial.shop, f"/returns/{return_id}", service="returns")
    event_id = await trial.sql(
        "refunds", "SELECT id::text FROM outbox WHERE key = $1 AND type = 'refund.succeeded'", order_id
    )
    await trial.sql("returns", "DELETE FROM inbox WHERE event_id = $1", event_id)
    await trial.sql(
        "returns",
        "UPDATE returns SET refund_status = 'PENDING', refund_transaction_id = NULL, refund_sequence = 0 WHERE id = $1",
        UUID(return_id),
    )


async def forget_copy(trial: Trial, order_id: str) -> None:
    await journeys.ship(trial.shop, order_id)
    await journeys.deliver(trial.shop, order_id)
    await trial.until("returns", _HAS_COPY, UUID(order_id))
    await trial.sql("returns", "DELETE FROM known_orders WHERE order_id = $1", UUID(order_id))


_HAS_COPY = "SELECT EXISTS (SELECT FROM known_orders WHERE order_id = $1 AND status = 'DELIVERED')"


async def has_invoice(trial: Trial, order_id: str) -> bool:
    return (await trial.shop.as_role("client", "GET", f"/orders/{order_id}/invoice")).status_code == 200


async def is_refunded(trial: Trial, order_id: str) -> bool:
    return bool((await trial.return_of(order_id))["refund_status"] == "SUCCEEDED")


async def has_copy(trial: Trial, order_id: str) -> bool:
    return bool(await trial.sql("returns", _HAS_COPY, UUID(order_id)))


LOSSES = (
    Loss("order.shipped dropped before the relay", "orders", "event_not_on_kafka", drop_shipped, has_invoice),
    Loss("the job of an invoice deleted", "invoicing", "invoice_without_job", lose_invoice_job, has_invoice),
    Loss("the job of a refund deleted", "refunds", "refund_without_job", lose_refund_job, is_refunded),
    Loss("the result of a refund skipped by returns", "returns", "event_not_consumed", skip_result, is_refunded),
    Loss("the copy of an order lost by returns", "returns", "order_copy_stale", forget_copy, has_copy),
)


async def suffer(trial: Trial, loss: Loss) -> tuple[float, float]:
    """The seconds until it is named, and until all is well."""
    order_id = await trial.packed_order()
    await loss.lose(trial, order_id)
    start = time.monotonic()
    await trial.until(
        loss.service, 'SELECT EXISTS (SELECT FROM discrepancies WHERE "check" = $1 AND key = $2)', loss.check, order_id
    )
    named = time.monotonic() - start

    async def is_well() -> bool | None:
        return await loss.is_well(trial, order_id) or None

    await trial.shop.eventually(f"{loss.what}: all is well", is_well)
    return named, time.monotonic() - start


async def campaign(stack: StackDescription, rounds: int) -> Table:
    trial = Trial(stack)
    table = Table("lost", "named by", "after", "in order after")
    try:
        cases = [loss for _ in range(rounds) for loss in LOSSES]
        times = await asyncio.gather(*(suffer(trial, loss) for loss in cases))
    finally:
        await trial.shop.close()
    for loss, (named, well) in zip(cases, times, strict=True):
        table.add_row(loss.what, f"{loss.check} of {loss.service}", f"{named:.1f} s", f"{well:.1f} s")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    rounds = parser.parse_args().rounds
    os.environ |= {"ROLES": "split", "RATE_LIMIT_PER_MINUTE": "0", "RECONCILE_SECONDS": "5"}
    folder = Path(mkdtemp(prefix="articurated-lost-hops-"))
    os.environ["STACK_DIR"] = str(folder)
    with fresh_stack(folder) as stack:
        table = asyncio.run(campaign(stack, rounds))
    Console(width=140).print(table)
    shutil.rmtree(folder)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
