"""What the events of refunds say about an order: the states of its refunds, and disputes of its payments (ADR 39)."""

from common.database.statements import Connection
from common.messaging.envelope import ReceivedEvent

from orders.repository import refunds, writing
from orders.views import OF_REFUND, DisputeView, RefundView

# The published cause of what operators request, among others.
_OF_OPERATORS = frozenset({"LATE_PAYMENT"})


async def save_refund(connection: Connection, refund: RefundView, event: ReceivedEvent) -> None:
    """Store the state of a refund at its payment, and at a cancelled order, with an audit row.

    An older state than the stored one changes nothing. The refund of a part, which an operator requested, has only an
    audit row: the state of a payment is that of its whole refund. Raises `LookupError` for an order or payment that was
    never reported here.
    """
    locked = await writing.lock(connection, refund.order_id)
    if locked is None:
        raise LookupError(f"a refund for the unknown order {refund.order_id}")
    status = OF_REFUND[event.type]
    if refund.cause in _OF_OPERATORS and refund.amount is not None and await refunds.is_of_a_part(connection, refund):
        details = refund.model_dump(exclude={"order_id"}, exclude_none=True) | {"part_refund_status": status}
        await writing.amend(connection, locked, locked.value, event.new_actor(), details)
        return
    if await refunds.save(connection, refund, status, event):
        payments = await refunds.find_payments(connection, locked.value)
        changed = locked.value.apply_refunds(locked.now, payments)
        details = refund.model_dump(exclude={"order_id"}, exclude_none=True) | {"refund_status": status}
        await writing.save(connection, locked, changed, event.new_actor(), details)
    elif not await writing.has_payment(connection, refund.order_id, refund.payment_reference):
        raise LookupError(f"a refund of a payment that order {refund.order_id} does not know")


async def note_dispute(connection: Connection, dispute: DisputeView, event: ReceivedEvent) -> None:
    """Add an audit row: a dispute changes nothing of the order. Raises `LookupError` for an unknown order."""
    locked = await writing.lock(connection, dispute.order_id)
    if locked is None:
        raise LookupError(f"a dispute of a payment of the unknown order {dispute.order_id}")
    details = dispute.model_dump(exclude={"order_id"}, exclude_none=True)
    await writing.amend(connection, locked, locked.value, event.new_actor(), details)
