"""The check of the book itself: its trial balance, payments paid back in excess, and disagreements (ADR 38)."""

import time
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from common.database.statements import Connection
from common.database.transactions import Pool, reading
from common.reconciliation.check import MOST_FINDINGS, Check, Finding

from refunds.repository import closing, trial_balance
from refunds.repository.closing import LastPosting
from refunds.use_cases.trial_balance import get_trial_balance

INTERVAL = timedelta(minutes=5)
# In between, only what was posted since the closing of the book is read.
WHOLE_INTERVAL = timedelta(days=1)
# How long a disagreement is named; it stays in its table.
NAMED = timedelta(days=7)


class Book(Check):
    """Each currency whose sums differ, each payment of which the provider paid back more than was captured, and each
    report of the last days that does not fit the book. All wait for people. The metrics of the book are set by it.

    It also closes the book where its sums agree, and reopens it where they differ (ADR 47)."""

    name = "book_disagrees"

    def __init__(self, *, interval: timedelta = INTERVAL, whole_interval: timedelta = WHOLE_INTERVAL) -> None:
        self._interval = interval.total_seconds()
        self._whole_interval = whole_interval.total_seconds()
        self._due_at = self._whole_due_at = 0.0
        self._last: LastPosting | None = None
        self._closes_anew = False
        self._found: list[Finding] = []

    async def find(self, pool: Pool) -> Sequence[Finding]:
        if time.monotonic() >= self._due_at:
            async with reading(pool) as connection:
                differences = await self._differences(connection)
                rows = await trial_balance.find_wrong(connection, NAMED, MOST_FINDINGS)
            unbalanced = [
                Finding(f"trial balance {currency}", None, {"difference": str(difference)})
                for currency, difference in differences.items()
                if difference
            ]
            self._found = [*unbalanced, *(Finding.of_row(row) for row in rows)]
            self._due_at = time.monotonic() + self._interval
        return self._found[:MOST_FINDINGS]

    async def _differences(self, connection: Connection) -> dict[str, Decimal]:
        reads_all = time.monotonic() >= self._whole_due_at
        # Before the sums: what they agree about includes it.
        last = await closing.last_posting(connection)
        balance = await get_trial_balance(connection, reads_all=reads_all)
        if not balance.is_zero:
            await closing.reopen(connection)
            self._last = None
            return balance.differences
        if reads_all:
            self._whole_due_at = time.monotonic() + self._whole_interval
            self._closes_anew = True
        if self._last is None:
            self._last = last
        elif last.has_all_up_to(self._last):
            if self._last.position is not None:
                await closing.close(connection, self._last.position, anew=self._closes_anew)
                self._closes_anew = False
            self._last = last
        return balance.differences
