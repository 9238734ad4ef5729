"""Findings: money that a customer is owed, its refunds, and disputes of the payments."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from orders.explanation import refund_states
from orders.explanation.evidence import Evidence, Payment, Refund, RefundsTimeline
from orders.explanation.finding import Finding, Severity, State, money
from orders.explanation.receiving import Hop, undelivered

_UNEXPECTED = {"late": ("order.late_payment",), "surplus": ("order.surplus_payment",)}
_RESULTS = ("refund.succeeded",)


def refund_findings(evidence: Evidence) -> Iterator[Finding]:
    refunds = evidence.refunds
    if refunds is None:
        return
    yield from _owed(evidence, refunds)
    for refund in refunds.refunds:
        yield from refund_states.findings_of(refunds, refund)
        if refund.status == "SUCCEEDED":
            yield from _unrecorded(evidence, refund)
    yield from _disputes(refunds)
    yield from _book(refunds)


def explained_refunds(evidence: Evidence) -> frozenset[str]:
    """Business keys of refunds whose state says more than their job."""
    refunds = evidence.refunds
    if refunds is None:
        return frozenset()
    return frozenset(refund.business_key for refund in refunds.refunds if refund_states.is_explained(refunds, refund))


def _owed(evidence: Evidence, refunds: RefundsTimeline) -> Iterator[Finding]:
    """Requests that refunds has not got."""
    references = {refund.payment_reference for refund in refunds.refunds}
    for payment in evidence.orders.payments:
        types = _cause_of_refund(evidence, payment)
        if types and not references & {payment.reference, payment.first_reference}:
            again_at = _owed_since(evidence, payment) + evidence.limits.refund
            yield from undelivered(evidence, Hop("orders", types, "refunds", "the refund", again_at, "orders"))
    value = evidence.returns and evidence.returns.opened_return
    if value and value.completed_at is not None and value.payment_reference not in references:
        again_at = value.completed_at + evidence.limits.refund
        hop = Hop("returns", ("return.completed",), "refunds", "the refund", again_at, "returns")
        yield from undelivered(evidence, hop)


def _owed_since(evidence: Evidence, payment: Payment) -> datetime:
    """The time from which the check `refund_result_missing` of orders counts its limit."""
    return max(payment.reported_at, evidence.orders.order.cancelled_at or payment.reported_at)


def _cause_of_refund(evidence: Evidence, payment: Payment) -> tuple[str, ...]:
    """The event that causes the refund of this payment; nothing where none is owed."""
    for kind, types in _UNEXPECTED.items():
        if getattr(payment, kind):
            return types
    is_captured = not payment.mismatched
    return ("order.cancelled",) if is_captured and evidence.orders.order.status == "CANCELLED" else ()


def _unrecorded(evidence: Evidence, refund: Refund) -> Iterator[Finding]:
    """The refund has succeeded, and the service of its cause does not know it. That service asks for the result again,
    as long after it owed the money as for a refund."""
    if refund.cause == "RETURN_COMPLETED":
        value = evidence.returns and evidence.returns.opened_return
        if value and value.refund_status != "SUCCEEDED":
            again_at = None if value.completed_at is None else value.completed_at + evidence.limits.refund
            hop = Hop("refunds", _RESULTS, "returns", "the return's result", again_at, "returns")
            yield from undelivered(evidence, hop)
        return
    payment = next((each for each in evidence.orders.payments if _is_of(refund, each)), None)
    if payment is not None and payment.refund_status != "SUCCEEDED":
        again_at = _owed_since(evidence, payment) + evidence.limits.refund
        hop = Hop("refunds", _RESULTS, "orders", "the result on the order", again_at, "orders")
        yield from undelivered(evidence, hop)


def _is_of(refund: Refund, payment: Payment) -> bool:
    return refund.payment_reference in (payment.reference, payment.first_reference)


_DISPUTES: Mapping[str, tuple[str, Severity, State, str, str]] = {
    "OPENED": (
        "dispute-open",
        Severity.WARNING,
        State.WAITING,
        "The customer disputes the payment at their bank.",
        "The provider reports the bank's decision; until then the payment is not refunded.",
    ),
    "LOST": (
        "dispute-lost",
        Severity.WARNING,
        State.DONE,
        "The bank has decided the dispute for the customer, and has taken the money back.",
        "Nothing more happens; the payment is not refunded, because the bank has paid the customer.",
    ),
}


def _disputes(refunds: RefundsTimeline) -> Iterator[Finding]:
    for dispute in refunds.disputes:
        if dispute.status in _DISPUTES:
            cause, severity, state, headline, next_step = _DISPUTES[dispute.status]
            yield Finding(
                cause=cause,
                severity=severity,
                state=state,
                service="refunds",
                headline=f"{headline} Dispute {dispute.dispute_id}.",
                since=dispute.changed_at,
                next=next_step,
                remedy="Answer the dispute with evidence in the provider's dashboard." if state != State.DONE else None,
            )


def _book(refunds: RefundsTimeline) -> Iterator[Finding]:
    for payment in refunds.payments:
        if payment.excess > 0:
            yield Finding(
                cause="paid-back-too-much",
                severity=Severity.ERROR,
                state=State.STUCK,
                service="refunds",
                headline=f"The provider paid back {money(payment.excess, payment.currency)} more than the "
                f"payment {payment.reference} had left.",
                next="Nothing happens by itself.",
                remedy="Compare GET /refunds/book?order_id=… with the provider's dashboard, and reclaim the money.",
            )
    for each in refunds.disagreements:
        yield Finding(
            cause="book-disagreement",
            severity=Severity.WARNING,
            state=State.WAITING,
            service="refunds",
            headline=f"The {each.kind} of the payment {each.reference} was reported as {each.reported}, and is booked "
            f"as {each.booked}.",
            since=each.created_at,
            next="Nothing happens by itself.",
            remedy="Compare both with the provider's dashboard; what is booked counts until somebody decides.",
        )
