"""Findings: the return of a delivered order, and what returns knows of the order."""

from collections.abc import Iterator
from dataclasses import dataclass

from orders.explanation.evidence import Evidence, Return, ReturnsTimeline
from orders.explanation.finding import MANAGERS, WAREHOUSE, Action, Finding, Severity, State, clock
from orders.explanation.receiving import Hop, undelivered


def return_findings(evidence: Evidence) -> Iterator[Finding]:
    returns, order = evidence.returns, evidence.orders.order
    if returns is None:
        return
    value, copy = returns.opened_return, returns.order_copy
    if order.status == "DELIVERED" and (copy is None or copy.status != "DELIVERED"):
        hop = Hop("orders", ("order.delivered",), "returns", "the right to open a return")
        yield from undelivered(evidence, hop)
    if value is None:
        return
    if value.status == "REQUESTED":
        yield _unreviewed(returns, value)
    elif value.status in _STEPS:
        yield _step(value, _STEPS[value.status])


def _unreviewed(returns: ReturnsTimeline, value: Return) -> Finding:
    path = f"/api/v1/returns/{value.id}"
    actions = (
        Action("Approve the return", "PATCH", "returns", f"{path}/approve", MANAGERS),
        Action("Reject the return", "PATCH", "returns", f"{path}/reject", MANAGERS),
    )
    if value.approvals_needed > 1 and value.approvals == 1:
        cause, headline = "return-needs-second-approval", "One manager has approved the return; a second one must too."
    else:
        cause, headline = "return-unreviewed", "The return waits for a manager's decision."
    is_overdue = value.review_until <= returns.at
    if is_overdue:
        cause = "return-review-overdue" if cause == "return-unreviewed" else cause
        headline = f"{headline} The time for it ended at {clock(value.review_until)}."
    reminder = next((job for job in returns.jobs if job.kind == "return-review" and job.state == "ready"), None)
    next_at = reminder.due_at if reminder else None if is_overdue else value.review_until
    after = "" if next_at is None else f" At {clock(next_at)} staff is reminded, or the system decides if it is set to."
    return Finding(
        cause=cause,
        severity=Severity.WARNING if is_overdue else Severity.INFO,
        state=State.WAITING,
        service="returns",
        headline=headline,
        since=value.created_at,
        next=f"Nothing happens before the decision.{after}",
        next_at=next_at,
        remedy="A manager who did not open the return approves or rejects it.",
        actions=actions,
    )


@dataclass(frozen=True, slots=True)
class Step:
    """What a return waits for in a state, and the state that is reported then."""

    cause: str
    headline: str
    next: str
    target: str


_STEPS = {
    "APPROVED": Step(
        "return-awaits-parcel",
        "The return is approved, and waits for the customer to send the goods.",
        "The customer or the warehouse reports that the goods are on their way.",
        "IN_TRANSIT",
    ),
    "IN_TRANSIT": Step(
        "return-in-transit",
        "The returned goods are on their way to the warehouse.",
        "The warehouse reports that it has received them.",
        "RECEIVED",
    ),
    "RECEIVED": Step(
        "return-awaits-completion",
        "The warehouse has received the goods, and has not completed the return: nothing is refunded yet.",
        "The warehouse completes the return; then the refund begins.",
        "COMPLETED",
    ),
}


def _step(value: Return, step: Step) -> Finding:
    path, body = f"/api/v1/returns/{value.id}/state", {"new_state": step.target}
    return Finding(
        cause=step.cause,
        severity=Severity.INFO,
        state=State.WAITING,
        service="returns",
        headline=step.headline,
        since=value.updated_at,
        next=step.next,
        remedy=f"If it has happened: report the state {step.target}.",
        actions=(Action(f"Report {step.target}", "PATCH", "returns", path, WAREHOUSE, body),),
    )
