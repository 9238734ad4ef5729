"""Payments that are reported for an order and do not fit, by its state or by their amount (ADR 16, ADR 39)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import structlog
from common import money
from common.aggregates.changes import Locked
from common.audit.actor import Actor
from common.database.statements import Connection
from common.errors import Code, Problem
from prometheus_client import Counter

from orders import events
from orders.domain.order import LISTED_PAYMENTS, Order
from orders.domain.payment import Payment, PaymentKind
from orders.domain.states import ALLOWED_TRANSITIONS, OrderStatus, RefundStatus
from orders.repository import writing

_log = structlog.get_logger(__name__)
_unexpected_payments = Counter(
    "unexpected_payments_total",
    "Payments that did not fit their order: late and surplus ones are refunded, mismatched ones wait for staff. "
    "By kind.",
    ["kind"],
)


@dataclass(frozen=True, slots=True)
class Report:
    """A reported payment. Without an amount it is that of the order's total."""

    transaction_id: str | None
    amount: Decimal | None


def exact_amount(amount: Decimal | None, order: Order) -> Decimal | None:
    """The amount with the decimals of the order's currency. Raises `Problem` VALIDATION_ERROR if it has more."""
    if amount is None:
        return None
    if not money.fits(amount, order.currency):
        digits = money.minor_digits(order.currency)
        raise Problem.invalid("amount", f"must have at most {digits} decimals in {order.currency}")
    return money.quantize(amount, order.currency)


def require_own_id(reported: Report, order: Order) -> None:
    """Raises `Problem` VALIDATION_ERROR for the reference that a payment of the order has until its id is reported: the
    next id would be taken for that of this payment, and not for a second payment."""
    if reported.transaction_id == order.reference_of(None):
        issue = "is the reference of a payment without an id; report the id that the payment provider gave"
        raise Problem.invalid("payment_transaction_id", issue)


async def is_known(connection: Connection, order: Order, reported: Report) -> bool:
    """Whether the payment was reported before, by its id; correct only under the order's lock."""
    if reported.transaction_id is None:
        return False
    if order.knows_payment(reported.transaction_id):
        return True
    all_are_listed = len(order.payments) < LISTED_PAYMENTS
    return not all_are_listed and await writing.has_payment(connection, order.id, reported.transaction_id)


async def settle_refused_payment(
    connection: Connection, actor: Actor, locked: Locked[Order], reported: Report, details: Mapping[str, object]
) -> Order | Problem:
    """The order, if its payment is only identified by the report. Else the refusal, which is stored, with the payment
    unless it may be a known one: a report without an id is new only to an order without payments."""
    order = locked.value
    known_payment = order.unidentified_payment
    if reported.transaction_id is None:
        if order.payments:
            await writing.refuse(connection, locked, OrderStatus.PAID, actor, details)
            return _refusal(order, None)
    elif known_payment is not None and reported.amount in (None, known_payment.amount):
        return await _identify_payment(connection, actor, locked, known_payment, reported.transaction_id)
    changed = order.add_payment(locked.now, reported.transaction_id, reported.amount)
    payment = changed.payments[-1]
    kind = payment.kind.lower()
    details = {**details, f"{kind}_payment": {"reference": payment.reference, "amount": payment.amount}}
    event = events.new_event(events.OF_UNEXPECTED_PAYMENT[payment.kind], changed, actor, payment)
    await writing.refuse(
        connection, locked, OrderStatus.PAID, actor, details, changed, event, writing.reported_payment(payment)
    )
    _unexpected_payments.labels(kind).inc()
    if payment.kind is PaymentKind.MISMATCHED:
        _log.error("a payment does not have the amount of its order", order_id=str(order.id), order=order.order_number)
    return _refusal(order, payment)


def _refusal(order: Order, payment: Payment | None) -> Problem:
    allowed = ALLOWED_TRANSITIONS[order.status]
    if payment is None or OrderStatus.PAID not in allowed:
        return Problem.invalid_transition(order.status, OrderStatus.PAID, list(allowed))
    details = {"reference": payment.reference, "amount": payment.amount, "total_amount": order.total_amount}
    message = "The payment's amount is not the order's total. It is stored, and the order still waits for its payment."
    return Problem(Code.CONFLICT, message, details | {"currency": order.currency})


async def _identify_payment(
    connection: Connection, actor: Actor, locked: Locked[Order], payment: Payment, transaction_id: str
) -> Order:
    """Store the id of the payment that was reported without one.

    In a final state no later event carries the id, and a refund of the payment may be pending under its first
    reference: then an event of its own is published.
    """
    order = locked.value.identify_payment(locked.now, payment, transaction_id)
    identified_payment = next(each for each in order.payments if each.reference == transaction_id)
    is_final = not ALLOWED_TRANSITIONS[order.status]
    needs_event = is_final and payment.refund_status is not RefundStatus.SUCCEEDED
    event = events.new_event(events.PAYMENT_IDENTIFIED, order, actor, identified_payment) if needs_event else None
    await writing.save_unaudited(connection, locked, order, event, writing.identified_payment(identified_payment))
    return order
