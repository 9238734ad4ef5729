"""Findings: the order's own next step, its payments, and attempts that were refused."""

from collections.abc import Iterator, Mapping

from orders.explanation.evidence import Evidence, Order
from orders.explanation.finding import OPERATORS, PAYMENTS, WAREHOUSE, Action, Finding, Severity, State, clock, money
from orders.explanation.service_timeline import Change


def order_findings(evidence: Evidence) -> Iterator[Finding]:
    yield from _mismatched(evidence)
    for service, timeline in evidence.timelines.items():
        yield from _refused(service, timeline.changes)
    order = evidence.orders.order
    if order.status in _STEPS:
        yield _next_step(order)


def _mismatched(evidence: Evidence) -> Iterator[Finding]:
    """A payment whose amount is not the order's total. Staff decides, by refunding it or not."""
    refunded = {refund.payment_reference for refund in evidence.refunds.refunds} if evidence.refunds else set()
    order = evidence.orders.order
    for payment in evidence.orders.payments:
        if payment.mismatched and payment.reference not in refunded:
            body = {
                "order_id": str(order.id),
                "payment_reference": payment.reference,
                "amount": payment.amount,
                "reason": "The amount is not the total of the order.",
            }
            yield Finding(
                cause="payment-mismatched",
                severity=Severity.ERROR,
                state=State.STUCK,
                service="orders",
                headline=f"A payment of {money(payment.amount, order.currency)} was reported; the total of the order "
                f"is {money(order.total_amount, order.currency)}.",
                since=payment.reported_at,
                next="Nothing happens until staff decides: the payment is stored, and pays nothing.",
                remedy="Refund the payment, and ask the customer to pay the total.",
                actions=(Action("Refund the payment", "POST", "refunds", "/api/v1/refunds", OPERATORS, body),),
            )


def _refused(service: str, changes: list[Change]) -> Iterator[Finding]:
    """The latest attempt of each entity, where it was refused."""
    latest = {change.entity_type: change for change in changes if change.entity_type in _NOUNS}
    for change in latest.values():
        if change.outcome == "REFUSED":
            yield Finding(
                cause="transition-refused",
                severity=Severity.WARNING,
                state=State.WAITING,
                service=service,
                headline=f"The latest attempt, to make {_NOUNS[change.entity_type]} {change.new_state}, was refused: "
                f"it was {change.previous_state}, which does not permit that.",
                since=change.created_at,
                next=f"Nothing was changed at {clock(change.created_at)}; the usual next step is still possible.",
                remedy="Do the steps in their sequence, or tell the caller that this one is not possible.",
            )


_NOUNS = {"ORDER": "the order", "RETURN": "the return"}
_STEPS: Mapping[str, tuple[str, str, str, str, str]] = {
    "PENDING_PAYMENT": (
        "awaiting-payment",
        "The order waits for its payment.",
        "The payment provider reports the payment; then the warehouse begins.",
        "PAID",
        "created_at",
    ),
    "PAID": (
        "awaiting-warehouse",
        "The order is paid, and waits for the warehouse to begin.",
        "The warehouse begins with the order. Until then it can be cancelled.",
        "PROCESSING_IN_WAREHOUSE",
        "paid_at",
    ),
    "PROCESSING_IN_WAREHOUSE": (
        "awaiting-shipment",
        "The warehouse is working on the order, and has not shipped it.",
        "The warehouse reports that it is shipped; then the invoice is made.",
        "SHIPPED",
        "updated_at",
    ),
    "SHIPPED": (
        "awaiting-delivery",
        "The order is on its way to the customer.",
        "The warehouse reports its delivery; then the customer can return it.",
        "DELIVERED",
        "shipped_at",
    ),
}


def _next_step(order: Order) -> Finding:
    cause, headline, next_step, state, since = _STEPS[order.status]
    path, roles = f"/api/v1/orders/{order.id}/state", PAYMENTS if state == "PAID" else WAREHOUSE
    return Finding(
        cause=cause,
        severity=Severity.INFO,
        state=State.WAITING,
        service="orders",
        headline=headline,
        since=getattr(order, since),
        next=next_step,
        remedy=f"If it has happened: report the state {state}.",
        actions=(Action(f"Report {state}", "PATCH", "orders", path, roles, {"new_state": state}),),
    )
