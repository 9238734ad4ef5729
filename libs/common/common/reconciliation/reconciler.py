"""The reconciler: runs the checks of a service in rounds, records what they find, and has it repaired (ADR 40)."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter, Gauge

from common.audit import entries
from common.audit.actor import Actor
from common.audit.entries import AuditEntry
from common.component import Component, pause, unless_stopping
from common.database.statements import Connection
from common.database.transactions import FailuresLogged, Pool, is_connection_failure, reading, transaction
from common.reconciliation import discrepancies
from common.reconciliation.check import MOST_FINDINGS, Check, Finding
from common.reconciliation.discrepancies import OpenRow
from common.reconciliation.reports import Reports
from common.telemetry.tracing import Work, traceparent_below
from common.text.storable import describe_error

# The key of an advisory lock: one process at a time runs a round. The number is arbitrary.
_LOCK = "SELECT pg_try_advisory_xact_lock(7203351)"
# The transaction that holds the lock does nothing else, however long the round takes.
_NO_IDLE_LIMIT = "SET LOCAL idle_in_transaction_session_timeout = 0"
LONGEST_CHECK_SECONDS = 300

_log = structlog.get_logger(__name__)
_open = Gauge("discrepancies", "Discrepancies that are neither resolved nor acknowledged; any is an alert", ["check"])
_found = Counter("discrepancies_found_total", "Discrepancies that were found", ["check"])
_repairs = Counter("discrepancy_repairs_total", "Repairs of discrepancies, by outcome", ["check", "outcome"])
_failures = Counter("reconciliation_failures_total", "Checks that could not be made", ["check"])


class Reconciler:
    """Several processes may run it: one at a time has the lock, and the others skip the round. Two that run at once,
    after a failover of the database, open and repair each discrepancy once all the same."""

    def __init__(self, pool: Pool, checks: Sequence[Check], reports: Reports, seconds: float) -> None:
        """`seconds` is the pause between two rounds."""
        self._pool = pool
        self._checks = checks
        self._reports = reports
        self._seconds = seconds
        for check in checks:  # so that a first failure is an increase
            _failures.labels(check.name)
            _found.labels(check.name)
        self.component = Component("reconciler", self.run)

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            with FailuresLogged(_log.warning, "the reconciliation waits for the database"):
                await unless_stopping(stopping, self._run_round())
            await pause(stopping, self._seconds)

    async def _run_round(self) -> None:
        async with transaction(self._pool) as connection:
            await self.run_round(connection)
        async with reading(self._pool) as connection:
            counts = await discrepancies.count_reported(connection)
        _open.clear()
        for check in self._checks:
            _open.labels(check.name).set(0)
        for name, number in counts.items():
            _open.labels(name).set(number)

    async def run_round(self, lock_holder: Connection) -> int | None:
        """Run all checks; returns how many findings there are, None while another process runs a round. `lock_holder`
        is in a transaction, which holds the lock."""
        await lock_holder.execute(_NO_IDLE_LIMIT)
        if not await lock_holder.fetchval(_LOCK):
            return None
        number = 0
        for check in self._checks:
            number += await self._run_check(check)
        async with reading(self._pool) as connection:
            await discrepancies.resolve_other_checks(connection, [check.name for check in self._checks])
        return number

    async def _run_check(self, check: Check) -> int:
        """A check that fails says nothing: what it found before stays open."""
        # Counted before: an acknowledgement during the check makes what it found no more complete.
        async with reading(self._pool) as connection:
            most = MOST_FINDINGS + await discrepancies.count_acknowledged(connection, check.name)
        try:
            async with asyncio.timeout(LONGEST_CHECK_SECONDS):
                found = await check.find(self._pool, most)
        except Exception as error:
            _failures.labels(check.name).inc()
            _log.error("a check could not be made", check=check.name, error=describe_error(error))
            return 0
        async with reading(self._pool) as connection:
            known = await discrepancies.open_of(connection, check.name)
        for finding in found:
            if finding.subject in known and known[finding.subject].acknowledged:
                await self._report_if_changed(check, finding, known[finding.subject])
        async with reading(self._pool) as connection:
            seen = [(known[each.subject], each.details) for each in found if each.subject in known]
            await discrepancies.see_again(connection, check, seen)
        for finding in found:
            row = known.get(finding.subject) or await self._open(check, finding)
            if row is not None and row.repairs < check.most_repairs:
                await self._repair(check, finding, row)
        if len(found) < most:
            async with reading(self._pool) as connection:
                for subject in await discrepancies.resolve(connection, check.name, [each.subject for each in found]):
                    _log.info("a discrepancy is resolved", check=check.name, subject=subject)
        return len(found)

    async def _open(self, check: Check, finding: Finding) -> OpenRow | None:
        """Each in a transaction of its own: the event's key may be locked by others."""
        with Work(f"discrepancy {check.name}", "internal"):
            async with transaction(self._pool) as connection:
                discrepancy = await discrepancies.open_new(connection, check, finding)
                if discrepancy is None:
                    return None
                await self._reports.report(connection, discrepancy)
        _found.labels(check.name).inc()
        _log.error("discrepancy", check=check.name, subject=finding.subject, key=finding.key, details=finding.details)
        return OpenRow(discrepancy.id, 0, discrepancy.first_seen)

    async def _report_if_changed(self, check: Check, finding: Finding, row: OpenRow) -> None:
        """Report an acknowledged discrepancy again if its details have changed, other than the volatile ones."""
        with Work(f"discrepancy {check.name}", "internal"):
            async with transaction(self._pool) as connection:
                changed = await discrepancies.withdraw_acknowledgement(connection, check, finding, row)
                if changed is None:
                    return
                discrepancy, occurrences = changed
                await entries.append(connection, _reopening(row))
                # With its id: of a relapse, the number of times may be the same again.
                await self._reports.report(connection, discrepancy, occurrence=f"{row.id} found {occurrences} times")
        _log.error("an acknowledged discrepancy has changed", check=check.name, subject=finding.subject)

    async def _repair(self, check: Check, finding: Finding, row: OpenRow) -> None:
        try:
            with Work(f"repair {check.name}", "internal"):
                async with transaction(self._pool) as connection:
                    if not await discrepancies.begin_repair(connection, row):
                        return
                    await check.repair(connection, finding)
        except Exception as error:
            if is_connection_failure(error):
                raise
            async with reading(self._pool) as connection:
                await discrepancies.record_failed_repair(connection, row, describe_error(error))
            outcome = "failed"
            _log.error("a repair failed", check=check.name, subject=finding.subject, error=describe_error(error))
        else:
            outcome = "done"
            _log.warning("a discrepancy was repaired", check=check.name, subject=finding.subject)
        _repairs.labels(check.name, outcome).inc()


def _reopening(row: OpenRow) -> AuditEntry:
    actor = Actor(None, "reconciler", "SYSTEM", "BACKGROUND_JOB", traceparent_below())
    now = datetime.now(UTC)
    return AuditEntry(discrepancies.ENTITY, row.id, "ACKNOWLEDGED", "OPEN", "ACCEPTED", actor, now, {})
