"""Lose the answers of the provider to many refunds, and measure how soon each is settled after the provider answers.

    cd tests && python -m chaos.unknown_outcomes [--unknown 10000] [--per-second 8] [--seed 7]

One refund in three loses its first answer, in a way that is drawn from `LOST_ANSWERS`; the provider answers look-ups.
Checked at the end: one effective refund for each payment, and a second call only with the same idempotency key, after a
look-up that followed the first.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from benchmarks import subjects
from benchmarks.order_events import Row, new_order_events
from benchmarks.produced import produce
from local_stack.stack import Stack
from orders.events import ORDERS_TOPIC
from support.payments.sandbox import PaymentSandbox, running_payment_sandbox

BATCH = 30
LOST_SHARE = 1 / 3
SETTINGS = {"PAYMENT_GATEWAY_TIMEOUT_SECONDS": "1", "PAYMENT_GATEWAY_KEY": "sk_unknown", "RETRY_UNIT_SECONDS": "0.5"}
LOST_ANSWERS: Sequence[Mapping[str, Any]] = (
    {"mode": "reset_response"},
    {"mode": "reset_request"},
    {"mode": "fail_after_apply"},
    {"mode": "timeout_after_apply"},
    {"mode": "timeout_before_apply"},
)
SETTLED = """
SELECT r.payment_reference, r.status, extract(epoch FROM r.completed_at - min(a.ended_at)) AS seconds
FROM refunds AS r
JOIN refund_calls AS c ON c.refund_id = r.id
JOIN refund_call_answers AS a ON a.call_position = c.position
WHERE a.outcome = 'LOST' AND c.kind = 'REFUND'
GROUP BY r.id
"""
CALLS = """
SELECT r.payment_reference, c.kind, c.idempotency_key FROM refund_calls AS c JOIN refunds AS r ON r.id = c.refund_id
ORDER BY c.position
"""


class Trial:
    def __init__(self, stack: Stack, sandbox: PaymentSandbox, per_second: float, seed: int) -> None:
        self._stack = stack
        self._sandbox = sandbox
        self._per_second = per_second
        self._dice = random.Random(seed)
        self._sent = 0
        self.lost = 0

    async def run(self, unknown: int) -> None:
        database = await asyncpg.connect(self._stack.postgres.dsn("refunds", "refunds"))
        try:
            while self.lost < unknown:
                await self._batch()
            await self._all_settled(database)
            await self._report(database)
        finally:
            await database.close()

    async def _batch(self) -> None:
        """At a steady rate, so that no refund waits behind many others."""
        start = time.monotonic()
        payments = [f"ch_unknown_{number}" for number in range(self._sent, self._sent + BATCH)]
        lost = [each for each in payments if self._dice.random() < LOST_SHARE]
        await self._lose_answers(lost)
        await asyncio.to_thread(produce, self._stack.kafka, ORDERS_TOPIC, _cancellations(payments))
        self._sent, self.lost = self._sent + len(payments), self.lost + len(lost)
        await asyncio.sleep(max(0.0, start + BATCH / self._per_second - time.monotonic()))

    async def _lose_answers(self, payments: Iterable[str]) -> None:
        async with httpx.AsyncClient(base_url=self._sandbox.url) as client:
            for payment in payments:
                fault = dict(self._dice.choice(LOST_ANSWERS))
                if fault["mode"].startswith("reset_"):
                    fault["after_bytes"] = self._dice.randrange(600)
                answer = await client.post("/sandbox/faults", json={**fault, "times": 1, "payment": payment})
                answer.raise_for_status()

    async def _all_settled(self, database: Any) -> None:
        deadline = time.monotonic() + 120
        query = "SELECT count(*) FILTER (WHERE status = 'SUCCEEDED'), count(*) FROM refunds"
        while True:
            succeeded, opened = await database.fetchrow(query)
            if succeeded == self._sent:
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"{succeeded} of {opened} refunds have succeeded, {self._sent} were requested")
            await asyncio.sleep(0.2)

    async def _report(self, database: Any) -> None:
        seconds = [float(row["seconds"]) for row in await database.fetch(SETTLED)]
        blind, doubled = await self._check(database)
        percentiles = statistics.quantiles(seconds, n=100)
        print(
            f"{self._sent} refunds, {len(seconds)} with a lost answer, settled after p50 {percentiles[49]:.2f} s,"
            f" p99 {percentiles[98]:.2f} s, at most {max(seconds):.2f} s; {blind} sent again without a look-up,"
            f" {doubled} payments with another number of refunds than one"
        )
        if blind or doubled:
            raise SystemExit(1)

    async def _check(self, database: Any) -> tuple[int, int]:
        blind, latest, keys = 0, dict[str, str](), dict[str, set[str]]()
        for row in await database.fetch(CALLS):
            payment, kind = row["payment_reference"], row["kind"]
            blind += kind == "REFUND" and latest.get(payment) == "REFUND"
            latest[payment] = kind
            keys.setdefault(payment, set()).add(row["idempotency_key"])
        blind += sum(len(each) > 1 for each in keys.values())
        effective = dict.fromkeys(latest, 0)
        async with httpx.AsyncClient(base_url=self._sandbox.url, timeout=60) as client:
            for refund in (await client.get("/sandbox/ledger")).json()["refunds"]:
                effective[refund["charge"]] += refund["status"] == "succeeded"
        return blind, sum(number != 1 for number in effective.values())


def _cancellations(payments: Sequence[str]) -> list[Row]:
    rows = new_order_events(len(payments), ("order.cancelled",))
    return [
        {**row, "payload": row["payload"].replace(b"ch_teacups", payment.encode())}
        for row, payment in zip(rows, payments, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unknown", type=int, default=10_000)
    parser.add_argument("--per-second", type=float, default=8, help="refunds, of which one in three loses its answer")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="unknown-outcomes-") as folder,
        running_payment_sandbox(Path(folder)) as sandbox,
        subjects.stack("refunds", **SETTINGS) as stack,
        subjects.running(stack, "refunds", "consumer"),
        subjects.another_program(stack, "refunds", "worker", PAYMENT_GATEWAY_URL=sandbox.url),
    ):
        asyncio.run(Trial(stack, sandbox, options.per_second, options.seed).run(options.unknown))
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
