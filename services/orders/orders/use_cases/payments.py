"""Payments that are reported for an order whose state does not allow `PAID` (ADR 16)."""

from collections.abc import Mapping

from common.aggregates.changes import Locked
from common.audit.actor import Actor
from common.database.statements import Connection
from prometheus_client import Counter

from orders import events
from orders.domain.order import LISTED_PAYMENTS, Order
from orders.domain.states import ALLOWED_TRANSITIONS, OrderStatus, RefundStatus
from orders.repository import writing

_unexpected_payments = Counter(
    "unexpected_payments_total", "Payments that the order's state did not allow; they are refunded. By kind.", ["kind"]
)


async def settle_refused_payment(
    connection: Connection,
    actor: Actor,
    locked: Locked[Order],
    transaction_id: str | None,
    details: Mapping[str, object],
) -> Order | None:
    """The order, if the payment is one of its own; None once the refusal is stored, with the payment if it is new.

    A report without an id is new only to an order without payments.
    """
    order = locked.value
    if transaction_id is not None:
        if await _knows_payment(connection, order, transaction_id):
            return order
        if order.has_unidentified_payment:
            return await _identify_payment(connection, actor, locked, transaction_id)
    if transaction_id is None and order.payments:
        await writing.refuse(connection, locked, OrderStatus.PAID, actor, details)
        return None
    changed = order.add_payment(locked.now, transaction_id)
    payment = changed.payments[-1]
    kind = payment.kind.lower()
    details = {**details, f"{kind}_payment": {"reference": payment.reference, "amount": payment.amount}}
    event = events.new_event(events.OF_UNEXPECTED_PAYMENT[payment.kind], changed, actor, payment)
    await writing.refuse(
        connection, locked, OrderStatus.PAID, actor, details, changed, event, writing.reported_payment(payment)
    )
    _unexpected_payments.labels(kind).inc()
    return None


async def _knows_payment(connection: Connection, order: Order, transaction_id: str) -> bool:
    if order.knows_payment(transaction_id):
        return True
    all_are_listed = len(order.payments) < LISTED_PAYMENTS
    return not all_are_listed and await writing.has_payment(connection, order.id, transaction_id)


async def _identify_payment(connection: Connection, actor: Actor, locked: Locked[Order], transaction_id: str) -> Order:
    """Store the id of the payment that was reported without one.

    In a final state no later event carries the id, and a refund of the payment may be pending under its first
    reference: then an event of its own is published.
    """
    order = locked.value.identify_payment(locked.now, transaction_id)
    [payment] = order.payments
    is_final = not ALLOWED_TRANSITIONS[order.status]
    needs_event = is_final and payment.refund_status is not RefundStatus.SUCCEEDED
    event = events.new_event(events.PAYMENT_IDENTIFIED, order, actor, payment) if needs_event else None
    await writing.save_unaudited(connection, locked, order, event, writing.identified_payment(payment))
    return order
