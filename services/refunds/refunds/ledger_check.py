"""The check of the payment gateway's ledger against our book, in both directions (ADR 40)."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from common.database.statements import Connection
from common.database.transactions import Pool, reading
from common.reconciliation.check import MOST_FINDINGS, Check, Finding

from refunds.payment_gateway.port import GatewayEvent, GatewayRefund, GatewayRefundStatus, PaymentGateway, RefundChanged
from refunds.repository import checks
from refunds.repository.checks import Booked
from refunds.use_cases.provider_events import receive

# How far the first comparison looks back, and how much of the last one each later one repeats.
WINDOW, OVERLAP = timedelta(days=1), timedelta(minutes=30)
# The entries of the first comparison are among so many.
ENTRIES_BACK = 100_000
ENTRIES_AT_ONCE = 2_000
# What is younger may be between the gateway's answer and our transaction, or its webhook on its way.
SETTLED = timedelta(minutes=5)
INTERVAL = timedelta(minutes=15)


class Ledger(Check):
    """Money that the gateway has paid back is paid back in the book, with the same amount, and the reverse. It asks the
    gateway every `interval`; in between, it finds the same again.

    What is seen to differ for the first time is asked about once more after `settled`, before it is a finding: its
    webhook may be on its way. What is an open discrepancy is asked about in every comparison, whoever has found it.
    """

    name = "ledger_differs"
    most_repairs = 1

    def __init__(
        self, gateway: PaymentGateway, *, settled: timedelta = SETTLED, interval: timedelta = INTERVAL
    ) -> None:
        self._gateway = gateway
        self._settled = settled + gateway.lookup_lag
        self._interval = interval.total_seconds()
        self._due_at = 0.0
        self._compared_until: datetime | None = None
        self._position: int | None = None
        # What differs: the payment references by which it is looked up again, and the findings.
        self._references: set[str] = set()
        self._differs_since: dict[str, datetime] = {}
        self._found: list[Finding] = []
        self._made: dict[str, GatewayRefund] = {}

    async def find(self, pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        if time.monotonic() >= self._due_at:
            await self._compare(pool)
            is_settled = len(self._found) == len(self._differs_since)
            pause = self._interval if is_settled else min(self._interval, self._settled.total_seconds())
            self._due_at = time.monotonic() + pause
        return self._found[:most]

    async def repair(self, connection: Connection, finding: Finding) -> None:
        """The gateway's refund is handled like an event of the gateway. Of one that the gateway does not have, or that
        has another amount, people decide: raises `ValueError`."""
        made = self._made.get(finding.subject)
        in_book = finding.details["in_book"]
        if made is None or (in_book is not None and Decimal(in_book) != made.amount):
            raise ValueError("the gateway and the book do not agree, and only people can decide who is right")
        event = GatewayEvent(f"ledger:{made.id}:{made.status}", RefundChanged(made), made.created_at)
        await receive(connection, self._gateway.name, event)

    async def _compare(self, pool: Pool) -> None:
        now = datetime.now(UTC)
        until = now - self._settled
        since = now - WINDOW if self._compared_until is None else self._compared_until - OVERLAP
        async with reading(pool) as connection:
            still_open = await checks.open_differences(connection, self.name)
            position = self._position
            if position is None:
                position = await checks.position_back(connection, ENTRIES_BACK)
            entries = await _all_after(connection, position, since, until)
            again = await checks.booked_by_provider(connection, {*still_open, *self._differs_since})
        made = {each.id: each async for each in self._gateway.refunds_since(since) if each.created_at <= until}
        for reference in {*still_open.values(), *self._references}:
            made |= {each.id: each for each in await self._gateway.refunds_of(reference) if each.created_at <= until}
        async with reading(pool) as connection:
            booked = await checks.booked(connection, made)
        not_made = await self._not_made([*entries, *again], made)
        differing = [each for each in made.values() if _differs(each, booked.get(each.id))]
        self._made = {each.id: each for each in differing}
        self._references = {each.payment_reference for each in differing} | {each.reference for each in not_made}
        findings = [_of_gateway(each, booked.get(each.id)) for each in differing] + [
            _of_book(each) for each in not_made
        ]
        self._differs_since = {each.subject: self._differs_since.get(each.subject, now) for each in findings}
        self._found = [
            each for each in findings if each.subject in still_open or self._differs_since[each.subject] <= until
        ]
        self._compared_until = until
        self._position = entries[-1].position if entries else position

    async def _not_made(self, entries: Iterable[Booked], made: dict[str, GatewayRefund]) -> list[Booked]:
        """Those that the gateway does not know, also when it is asked for all refunds of the payment."""
        missing = {each.transaction_id: each for each in entries if each.transaction_id not in made}
        for entry in list(missing.values()):
            for each in await self._gateway.refunds_of(entry.reference):
                missing.pop(each.id, None)
        return list(missing.values())


async def _all_after(connection: Connection, position: int, since: datetime, until: datetime) -> list[Booked]:
    entries: list[Booked] = []
    while page := await checks.booked_after(connection, position, since, until, ENTRIES_AT_ONCE):
        entries += page
        position = page[-1].position
    return entries


def _differs(made: GatewayRefund, booked: Booked | None) -> bool:
    if made.status is GatewayRefundStatus.SUCCEEDED:
        return booked is None or booked.amount != made.amount
    return made.status is GatewayRefundStatus.FAILED and booked is not None


def _of_gateway(made: GatewayRefund, booked: Booked | None) -> Finding:
    details = {
        "at_gateway": f"{made.status} {made.amount} {made.currency}",
        "in_book": None if booked is None else str(booked.amount),
        "reference": made.reference,
        "payment_reference": made.payment_reference,
    }
    return Finding(made.id, None if booked is None else str(booked.order_id), details)


def _of_book(booked: Booked) -> Finding:
    details = {"at_gateway": None, "in_book": str(booked.amount), "payment_reference": booked.reference}
    return Finding(booked.transaction_id, str(booked.order_id), details)
