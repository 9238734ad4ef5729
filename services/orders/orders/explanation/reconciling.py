"""Findings: open discrepancies that the reconciler of a service reports about the order."""

from collections.abc import Iterator

from orders.explanation.evidence import Evidence
from orders.explanation.finding import MANAGERS, Action, Finding, Severity, State, clock
from orders.explanation.service_timeline import Discrepancy

# These are findings of their own.
_EXPLAINED = frozenset({"document_missing"})


def open_discrepancies(evidence: Evidence) -> Iterator[Finding]:
    for service, timeline in evidence.timelines.items():
        for each in timeline.discrepancies:
            if each.check not in _EXPLAINED:
                yield _finding(service, each)


def _finding(service: str, found: Discrepancy) -> Finding:
    failed = f" The last repair failed: {found.repair_error}." if found.repair_error else ""
    repaired = f", last at {clock(found.repaired_at)}" if found.repaired_at else ""
    path = f"/api/v1/ops/discrepancies?check={found.check}&state=open"
    return Finding(
        cause="discrepancy-open",
        severity=Severity.WARNING,
        state=State.STUCK,
        service=service,
        headline=f"The reconciler of {service} reports {found.check} for {found.subject}.{failed}",
        since=found.first_seen,
        next=f"It was repaired {found.repairs} times{repaired}. The reconciler looks again in its next round.",
        remedy="Mend what its details name, such as by the replay of an event or job: it closes by itself afterwards. "
        "The runbook (docs/operations.md) has the steps for each check.",
        actions=(Action("Show the discrepancies", "GET", service, path, MANAGERS),),
    )
