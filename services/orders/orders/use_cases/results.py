"""Results of other services at the orders that they are about."""

from common.database.statements import Connection
from common.messaging.envelope import ReceivedEvent

from orders.events import RefundView
from orders.repository import refunds, writing


async def save_refund_result(connection: Connection, refund: RefundView, event: ReceivedEvent) -> None:
    """Store the result of a refund at its payment, and at a cancelled order.

    An older result than the stored one changes nothing. Raises `LookupError` for an order or payment that was never
    reported here.
    """
    locked = await writing.lock(connection, refund.order_id)
    if locked is None:
        raise LookupError(f"a refund for the unknown order {refund.order_id}")
    if await refunds.save(connection, refund, event):
        payments = await refunds.find_payments(connection, locked.value)
        await writing.save_unaudited(connection, locked, locked.value.apply_refunds(locked.now, payments))
    elif not await writing.has_payment(connection, refund.order_id, refund.payment_reference):
        raise LookupError(f"a refund of a payment that order {refund.order_id} does not know")
