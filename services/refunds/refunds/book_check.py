"""The check of the book itself: its trial balance, payments paid back in excess, and disagreements (ADR 38)."""

import time
from collections.abc import Sequence
from datetime import timedelta

from common.database.transactions import Pool, reading
from common.reconciliation.check import MOST_FINDINGS, Check, Finding

from refunds.repository import trial_balance
from refunds.use_cases.trial_balance import get_trial_balance

# The sums read the whole book.
INTERVAL = timedelta(minutes=5)
# How long a disagreement is named; it stays in its table.
NAMED = timedelta(days=7)


class Book(Check):
    """Each currency whose sums differ, each payment of which the provider paid back more than was captured, and each
    report of the last days that does not fit the book. All wait for people. The metrics of the book are set by it."""

    name = "book_disagrees"

    def __init__(self, *, interval: timedelta = INTERVAL) -> None:
        self._interval = interval.total_seconds()
        self._due_at = 0.0
        self._found: list[Finding] = []

    async def find(self, pool: Pool) -> Sequence[Finding]:
        if time.monotonic() >= self._due_at:
            async with reading(pool) as connection:
                differences = (await get_trial_balance(connection)).differences
                rows = await trial_balance.find_wrong(connection, NAMED, MOST_FINDINGS)
            unbalanced = [
                Finding(f"trial balance {currency}", None, {"difference": str(difference)})
                for currency, difference in differences.items()
                if difference
            ]
            self._found = [*unbalanced, *(Finding.of_row(row) for row in rows)]
            self._due_at = time.monotonic() + self._interval
        return self._found[:MOST_FINDINGS]
