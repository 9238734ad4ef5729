"""Delivery of events to a webhook in the background, with faults: held, lost, twice, out of order, forged."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter

import httpx

from sandbox.faults import FaultPlan, Mode
from sandbox.payments.dialect import Dialect, Event
from sandbox.payments.event_log import Delivery, EventLog, Target

WEBHOOK_FAULTS = {
    f"webhook_{name}": Mode() for name in ("held", "lost", "twice", "out_of_order", "forged", "before_answer")
}
_AT_EVENT = WEBHOOK_FAULTS.keys() - {"webhook_before_answer"}
BATCH = 200
TIMEOUT_SECONDS = 5
LONGEST_BACKOFF_SECONDS = 60
# The pauses between the attempts at one delivery; about an hour in sum.
MOST_ATTEMPTS = 60
OTHER_SECRET = "0f" * 32


class Webhooks:
    def __init__(self, connection: sqlite3.Connection, log: EventLog, faults: FaultPlan, dialect: Dialect) -> None:
        self._connection = connection
        self._log = log
        self._faults = faults
        self._dialect = dialect
        self._wake = asyncio.Event()
        self._attempted = asyncio.Event()

    def publish(self, events: Sequence[Event], reference: str | None) -> None:
        """Store events and their deliveries, inside the caller's transaction."""
        target = self._log.target()
        for event in events:
            self._log.add(event)
            if target is not None:
                self._schedule(event, reference, target)
        self._wake.set()

    async def deliver_before_answer(
        self, payment: str, reference: str | None, make_changes: Callable[[str], None]
    ) -> None:
        """If a fault says so, make the later changes of a payment now, and wait until its webhooks were sent."""
        if not self._faults.trigger(*filter(None, (payment, reference)), modes={"webhook_before_answer"}):
            return
        make_changes(payment)
        with self._connection:
            self._log.hasten(payment)
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while self._log.untried(payment):
                    self._attempted.clear()
                    await self._attempted.wait()

    def set_target(self, target: Target | None) -> None:
        """Deliver future events to this URL, or not at all if it is None. Raises ValueError for a secret that cannot be
        used."""
        if target is not None:
            self._dialect.webhook({}, target.secret)
        with self._connection:
            self._log.set_target(target)
        self._wake.set()

    def release(self, payment: str | None) -> int:
        """Deliver the held webhooks; return their number."""
        with self._connection:
            released = self._log.release("held", payment)
        self._wake.set()
        return released

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            while True:
                self._wake.clear()
                target = self._log.target()
                batch = self._log.due_deliveries(time.time(), BATCH) if target is not None else []
                if target is not None and batch:
                    await self._deliver_batch(client, target, batch)
                else:
                    await self._wait(target)

    async def _wait(self, target: Target | None) -> None:
        due = self._log.next_due() if target is not None else None
        timeout = None if due is None else max(due - time.time(), 0.001)
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            return

    def _schedule(self, event: Event, reference: str | None, target: Target) -> None:
        fault = self._faults.trigger(*filter(None, (event.payment, reference)), modes=_AT_EVENT)
        due = time.time() + target.delay_seconds
        match fault.mode if fault else None:
            case "webhook_lost":
                return
            case "webhook_held":
                self._log.add_delivery(event, "held", due)
                return
            case "webhook_out_of_order":
                self._log.add_delivery(event, "behind", due)
                return
            case "webhook_twice":
                self._log.add_delivery(event, "due", due)
            case "webhook_forged":
                self._log.add_delivery(event, "due", due, is_forged=True)
        self._log.add_delivery(event, "due", due)

    async def _deliver_batch(self, client: httpx.AsyncClient, target: Target, batch: Sequence[Delivery]) -> None:
        """In the order of events for each payment, and at the same time for different payments."""
        by_payment = groupby(sorted(batch, key=attrgetter("payment", "position")), key=attrgetter("payment"))
        await asyncio.gather(*(self._deliver_all(client, target, list(each)) for _, each in by_payment))

    async def _deliver_all(self, client: httpx.AsyncClient, target: Target, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            status = await self._send(client, target, delivery)
            is_accepted = status is not None and 200 <= status < 300
            backoff = min(0.5 * 2**delivery.attempts, LONGEST_BACKOFF_SECONDS)
            with self._connection:
                # A forged message is delivered once only.
                is_last = is_accepted or delivery.is_forged or delivery.attempts + 1 >= MOST_ATTEMPTS
                retry_at = None if is_last else time.time() + backoff
                self._log.record_delivery(delivery, status, retry_at=retry_at)
                self._log.release("behind", delivery.payment, before=delivery.position)
            self._attempted.set()

    async def _send(self, client: httpx.AsyncClient, target: Target, delivery: Delivery) -> int | None:
        document = self._dialect.forged(delivery.document) if delivery.is_forged else delivery.document
        webhook = self._dialect.webhook(document, OTHER_SECRET if delivery.is_forged else target.secret)
        try:
            response = await client.post(target.url, content=webhook.body, headers=webhook.headers)
        except httpx.HTTPError:
            return None
        return response.status_code
