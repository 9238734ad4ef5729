"""Refund many payments while the provider misbehaves and processes are killed, and compare all books at the end.

    python tests/chaos/refund_trials.py [--refunds 2000] [--seed 7]

One in ten refunds is for a completed return, the others are for cancelled orders. For each payment, a behaviour of the
provider is drawn from `BEHAVIOURS`. Every few seconds the worker of refunds, or the provider, gets SIGKILL. At the end
the provider's ledger, the book of refunds, and the orders and returns must agree to the cent. The trial balance must be
zero whenever it is asked for. When a campaign fails, its last line is the command that repeats it.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
from demo import journeys
from demo.client import Shop, Unexpected
from demo.own_stack import fresh_stack
from local_stack.stack_json import running_stack

CONCURRENCY = 8
SETTLING_SECONDS = 300
VICTIMS = ("refunds-worker", "sandbox")
SECRET = "whsec_refund_trials"
SETTINGS = {
    "ROLES": "split",
    "RETRY_UNIT_SECONDS": "0.2",
    "PAYMENT_GATEWAY_TIMEOUT_SECONDS": "1",
    "PAYMENT_WEBHOOK_SECRET": SECRET,
    "PAYMENT_SWEEP_SECONDS": "2",
}
# The faults that the provider is asked for, by name; the weights are equal. A random byte is put in place of None.
BEHAVIOURS: Mapping[str, Mapping[str, Any] | None] = {
    "succeeds": None,
    "fails once": {"mode": "fail", "times": 1},
    "limits the rate": {"mode": "rate_limit", "times": 2, "retry_after_seconds": 1},
    "conflicts": {"mode": "conflict", "times": 1},
    "declines": {"mode": "decline", "times": 1},
    "times out before it applies": {"mode": "timeout_before_apply", "times": 1},
    "times out after it applied": {"mode": "timeout_after_apply", "times": 1},
    "fails after it applied": {"mode": "fail_after_apply", "times": 1},
    "is slow": {"mode": "slow", "times": 1, "delay_seconds": 1.5},
    "resets the request": {"mode": "reset_request", "times": 1, "after_bytes": None},
    "resets the response": {"mode": "reset_response", "times": 1, "after_bytes": None},
    "lists it late": {"mode": "lookup_lag", "times": 1, "delay_seconds": 1.0},
    "succeeds later": {"mode": "pending", "times": 1, "then": "succeeded", "delay_seconds": 1.0},
    "fails later": {"mode": "pending", "times": 1, "then": "failed", "delay_seconds": 1.0},
    "takes the success back": {"mode": "reversed", "times": 1, "delay_seconds": 1.0},
    "was asked by hand": None,
    "loses the webhook": {"mode": "webhook_lost", "times": 1},
    "sends the webhook twice": {"mode": "webhook_twice", "times": 1},
    "sends the webhook first": {"mode": "webhook_before_answer", "times": 1},
    "has forged webhooks": {"mode": "webhook_forged", "times": 1},
}
BY_HAND = "was asked by hand"
PAID_ACCOUNTS = frozenset({"paid_back", "paid_elsewhere"})


@dataclass(frozen=True, slots=True)
class Trial:
    number: int
    behaviour: str
    after_bytes: int
    is_return: bool

    @property
    def payment(self) -> str:
        return f"pi_trial_{self.number}"


@dataclass(frozen=True, slots=True)
class Owed:
    """What was paid for an order, and where the result of its refund is shown."""

    trial: Trial
    order_id: str
    amount: Decimal
    path: str
    service: str


class Campaign:
    def __init__(self, shop: Shop, folder: Path, seed: int) -> None:
        self._shop = shop
        self._folder = folder
        self._dice = random.Random(seed)
        self._sandbox = f"{shop.stack['payment_sandbox']['url']}/sandbox"
        self._http = httpx.AsyncClient(timeout=10)
        self.kills = 0
        self.balances = 0

    async def run(self, refunds: int) -> Counter[str]:
        """How many refunds ended in each state. Raises `Unexpected` where two books disagree."""
        await self._send_webhooks()
        trials = [
            Trial(number, self._dice.choice(list(BEHAVIOURS)), self._dice.randrange(700), self._dice.random() < 0.1)
            for number in range(refunds)
        ]
        disturbances = [asyncio.create_task(self._kill()), asyncio.create_task(self._ask_for_balance())]
        try:
            owed = await self._refund_all(trials)
        finally:
            for each in disturbances:
                each.cancel()
        await asyncio.gather(*disturbances, return_exceptions=True)
        for each in disturbances:
            if not each.cancelled() and (error := each.exception()) is not None:
                raise error
        return await self._compare(owed)

    async def close(self) -> None:
        await self._http.aclose()
        await self._shop.close()

    async def _send_webhooks(self) -> None:
        url = f"{self._shop.stack['services']['refunds']['url']}/api/v1/webhooks/stripe"
        await self._order("webhooks", {"url": url, "secret": SECRET})

    async def _refund_all(self, trials: Sequence[Trial]) -> list[Owed]:
        slots = asyncio.Semaphore(CONCURRENCY)

        async def limited(trial: Trial) -> Owed:
            async with slots:
                return await self._refund(trial)

        return await asyncio.gather(*map(limited, trials))

    async def _refund(self, trial: Trial) -> Owed:
        await self._prepare(trial)
        shop = self._shop
        order = await journeys.place(shop, journeys.example("returned-order"))
        amount = Decimal(str(order["total_amount"]))
        await self._order(
            "captures", {"payment": trial.payment, "amount": int(amount * 100), "currency": order["currency"].lower()}
        )
        await journeys.pay(shop, order["id"], trial.payment)
        if trial.behaviour == BY_HAND:
            await self._order("dashboard/refunds", {"payment": trial.payment})
        if not trial.is_return:
            await journeys.cancel(shop, order["id"], "no longer needed")
            return Owed(trial, order["id"], amount, f"/orders/{order['id']}", "orders")
        returned = await self._complete_return(order["id"])
        return Owed(trial, order["id"], amount, f"/returns/{returned}", "returns")

    async def _complete_return(self, order_id: str) -> str:
        shop = self._shop
        await journeys.pack(shop, order_id)
        await journeys.ship(shop, order_id)
        await journeys.deliver(shop, order_id)
        opened = await journeys.open_return(shop, order_id, "cracked")
        await journeys.approve(shop, opened["id"], "seen")
        await journeys.move_return(shop, opened["id"], "client", "IN_TRANSIT")
        await journeys.move_return(shop, opened["id"], "warehouse", "RECEIVED")
        await journeys.move_return(shop, opened["id"], "warehouse", "COMPLETED")
        return str(opened["id"])

    async def _prepare(self, trial: Trial) -> None:
        fault = BEHAVIOURS[trial.behaviour]
        if fault is None:
            return
        random_byte = {"after_bytes": trial.after_bytes} if "after_bytes" in fault else {}
        await self._order("faults", {**fault, **random_byte, "payment": trial.payment})

    async def _order(self, route: str, body: Mapping[str, Any]) -> None:
        """Call a control route of the sandbox, and repeat the call while the sandbox is restarted after a kill. The
        sandbox stores a request before it answers it."""
        deadline = time.monotonic() + 60
        while True:
            try:
                response = await self._http.post(f"{self._sandbox}/{route}", json=body)
                if response.is_success:
                    return
                raise Unexpected(f"{route} {body}: {response.status_code} {response.text}")
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def _kill(self) -> None:
        while True:
            await asyncio.sleep(self._dice.uniform(2, 6))
            victim = self._dice.choice(VICTIMS)
            for process in running_stack(self._folder)["processes"]:
                if process["name"] == victim:
                    os.kill(process["pid"], signal.SIGKILL)
                    self.kills += 1

    async def _ask_for_balance(self) -> None:
        while True:
            await self._expect_balance()
            await asyncio.sleep(0.5)

    async def _expect_balance(self) -> dict[str, Any]:
        book = await self._shop.expect(200, "ops", "GET", "/refunds/book", service="refunds")
        if not book["is_zero"]:
            raise Unexpected(f"the trial balance is not zero: {book}")
        self.balances += 1
        return book

    async def _compare(self, owed: Sequence[Owed]) -> Counter[str]:
        """Wait until every result is shown, then compare it with the provider's ledger and the book."""
        states: Counter[str] = Counter()
        paid_back = Decimal(0)
        for each in owed:
            state, amount = await self._settled(each)
            states[f"{each.trial.behaviour}: {state}"] += 1
            paid_back += amount
        book = await self._expect_balance()
        booked = sum(Decimal(str(each["balance"])) for each in book["accounts"] if each["account"] in PAID_ACCOUNTS)
        if abs(booked) != paid_back or book["payments_in_excess"] or book["disagreements"]:
            raise Unexpected(f"the provider has paid back {paid_back}, the book has {booked}: {book}")
        print(f"paid back {paid_back}, as booked")
        return states

    async def _settled(self, owed: Owed) -> tuple[str, Decimal]:
        """The final state, and what the provider has paid back, when both and the order or return agree."""
        deadline = time.monotonic() + SETTLING_SECONDS
        while True:
            difference, state, amount = await self._difference(owed)
            if not difference:
                return state, amount
            if time.monotonic() > deadline:
                raise Unexpected(f"{owed}: {difference}")
            await asyncio.sleep(0.2)

    async def _difference(self, owed: Owed) -> tuple[str, str, Decimal]:
        page = await self._shop.expect(200, "ops", "GET", f"/refunds?order_id={owed.order_id}", service="refunds")
        if len(page["data"]) != 1:
            return f"there are {len(page['data'])} refunds", "", Decimal(0)
        refund = page["data"][0]
        booked = await journeys.ledger(self._shop, owed.trial.payment)
        effective = [each for each in booked if each["status"] == "succeeded"]
        amount = Decimal(sum(each["amount"] for each in effective)) / 100
        shown = await self._shop.expect(200, "ops", "GET", owed.path, service=owed.service)
        state, shown_state = refund["status"], shown["refund_status"]
        if state == "SUCCEEDED":
            ids = [each["id"] for each in effective]
            is_same = ids == [refund["transaction_id"]] and shown["refund_transaction_id"] in ids
            is_same = is_same and shown_state == "SUCCEEDED" and amount == owed.amount
        elif state in ("DECLINED", "FAILED", "REVERSED"):
            is_same = not effective and shown_state == ("REVERSED" if state == "REVERSED" else "FAILED")
        else:
            is_same = False
        return "" if is_same else f"{refund}, {booked}, {shown_state}", state, amount


def main() -> int:
    arguments = _parse_arguments()
    folder = Path(mkdtemp(prefix="refund-trials-"))
    os.environ.update(SETTINGS)
    start = time.monotonic()
    try:
        with fresh_stack(folder / "stack") as stack:
            asyncio.run(_run(Shop(stack, patience=90), folder / "stack", arguments.refunds, arguments.seed))
    except Exception as error:
        print(f"{type(error).__name__}: {error}\nlogs: {folder}")
        print(f"python tests/chaos/refund_trials.py --refunds {arguments.refunds} --seed {arguments.seed}")
        return 1
    print(f"{time.monotonic() - start:.0f} s")
    shutil.rmtree(folder)
    return 0


async def _run(shop: Shop, folder: Path, refunds: int, seed: int) -> None:
    campaign = Campaign(shop, folder, seed)
    try:
        states = await campaign.run(refunds)
    finally:
        await campaign.close()
    for name, count in sorted(states.items()):
        print(f"{count:5}  {name}")
    print(f"{refunds} refunds, {campaign.kills} kills, {campaign.balances} trial balances: all books agree")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refunds", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
