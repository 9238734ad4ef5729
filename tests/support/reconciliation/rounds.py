"""Rounds of the reconciler with the checks of a test."""

import json
from collections.abc import Iterable
from typing import Any

from common.aggregates.event_counter import EventCounter
from common.database.transactions import Pool, transaction
from common.jobs.alerts import Alerts
from common.reconciliation.check import Check
from common.reconciliation.reconciler import Reconciler
from common.reconciliation.reports import Reports


async def reconcile(
    pool: Pool, checks: Iterable[Check], *, topic: str | None = None, counter: EventCounter | None = None
) -> list[tuple[str, str]]:
    """One round; returns the open discrepancies: check and subject."""
    reports = Reports(topic, counter, Alerts("a service", ("mail",)))
    async with transaction(pool) as connection:
        assert await Reconciler(pool, list(checks), reports, seconds=60).run_round(connection) is not None
    rows = await pool.fetch('SELECT "check", subject FROM discrepancies WHERE resolved_at IS NULL ORDER BY 1, 2')
    return [(row["check"], row["subject"]) for row in rows]


async def discrepancies(pool: Pool) -> list[dict[str, Any]]:
    """All of them, the oldest first."""
    rows = await pool.fetch("SELECT * FROM discrepancies ORDER BY first_seen")
    return [{**row, "details": _json(row["details"])} for row in rows]


def _json(details: Any) -> Any:
    return json.loads(details) if isinstance(details, str) else details
