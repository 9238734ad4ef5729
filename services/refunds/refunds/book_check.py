"""The check of the book itself: its trial balance, payments paid back in excess, and disagreements (ADR 38)."""

import time
from collections.abc import Sequence
from datetime import timedelta

from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.reconciliation.check import MOST_FINDINGS, Check, Finding

from refunds.repository import closing, trial_balance
from refunds.repository.closing import LastPosting
from refunds.use_cases.trial_balance import TrialBalance, get_trial_balance

INTERVAL = timedelta(minutes=5)
# In between, only what was posted since the closing of the book is read.
WHOLE_INTERVAL = timedelta(days=1)
# After a reading of the whole book that did not come to its end.
AGAIN = timedelta(hours=1)
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
        self._unbalanced: list[Finding] = []

    async def find(self, pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        if time.monotonic() >= self._due_at:
            await self._compare(pool)
        async with reading(pool) as connection:
            rows = await trial_balance.find_wrong(connection, NAMED, most)
        return [*self._unbalanced, *map(Finding.of_row, rows)][:most]

    async def _compare(self, pool: Pool) -> None:
        reads_all = time.monotonic() >= self._whole_due_at
        if reads_all:  # before it: one that takes too long must not be all that this check ever does
            self._whole_due_at = time.monotonic() + AGAIN.total_seconds()
        async with transaction(pool) as connection:
            last, balance = await self._read(connection, reads_all=reads_all)
        if reads_all:
            self._whole_due_at = time.monotonic() + self._whole_interval
            self._closes_anew = balance.is_zero
        self._unbalanced = [
            Finding(f"trial balance {currency}", None, {"difference": str(difference)})
            for currency, difference in balance.differences.items()
            if difference
        ]
        self._due_at = time.monotonic() + self._interval
        if balance.is_zero:
            await self._close(pool, last, may_take_long=not reads_all)

    async def _read(self, connection: Connection, *, reads_all: bool) -> tuple[LastPosting, TrialBalance]:
        # Before the sums: what they agree about includes it.
        last = await closing.last_posting(connection)
        balance = await get_trial_balance(connection, reads_all=reads_all)
        if not balance.is_zero:
            await closing.reopen(connection)
            self._last = None
        return last, balance

    async def _close(self, pool: Pool, last: LastPosting, *, may_take_long: bool) -> None:
        """Close the book up to the posting that was the last one in an earlier round, once nothing can follow before
        it. Not in the round that has read all: together, they might take longer than a check may."""
        if self._last is None:
            self._last = last
        elif may_take_long and last.has_all_up_to(self._last):
            position, anew = self._last.position, self._closes_anew
            self._last, self._closes_anew = last, False
            if position is not None:
                async with transaction(pool) as connection:
                    await closing.close(connection, position, anew=anew)
