"""The diagnosis: from the evidence to the state of the order and its findings."""

from collections.abc import Sequence
from dataclasses import dataclass

from orders.explanation.evidence import Evidence
from orders.explanation.finding import Finding, State, most_important_first
from orders.explanation.invoicing import invoice_findings
from orders.explanation.ordering import order_findings
from orders.explanation.publishing import unpublished_events
from orders.explanation.receiving import poison_records
from orders.explanation.reconciling import open_discrepancies
from orders.explanation.refunding import explained_refunds, refund_findings
from orders.explanation.returning import return_findings
from orders.explanation.silence import silent_services
from orders.explanation.working import unfinished_jobs


@dataclass(frozen=True, slots=True)
class Diagnosis:
    state: State
    findings: Sequence[Finding]


def diagnose(evidence: Evidence) -> Diagnosis:
    """Of one severity, causes come before what follows from them: what is not published before what was not read,
    before work that is not done."""
    findings = most_important_first(
        [
            *unpublished_events(evidence),
            *poison_records(evidence),
            *refund_findings(evidence),
            *unfinished_jobs(evidence, explained_refunds(evidence)),
            *invoice_findings(evidence),
            *silent_services(evidence),
            *return_findings(evidence),
            *order_findings(evidence),
            *open_discrepancies(evidence),
        ]
    )
    order = list(State)
    state = min((finding.state for finding in findings), key=order.index, default=State.DONE)
    return Diagnosis(state, findings)
