"""Storing the events of other services: copies of orders, results of refunds. No event, no audit row."""

from collections.abc import Iterable

from common.database.statements import Connection
from common.messaging.envelope import ReceivedEvent

from returns.events import OrderView, RefundView
from returns.repository import orders, reading, refunds


async def save_orders(connection: Connection, changed: Iterable[tuple[OrderView, ReceivedEvent]]) -> None:
    """Store of each order the newest by (epoch, sequence): events may be repeated later."""
    await orders.save(connection, changed)


async def save_refund_result(connection: Connection, refund: RefundView, event: ReceivedEvent) -> None:
    """Store the result of a return's refund; an older one than the stored one changes nothing.

    Raises `LookupError` for a return that does not exist here.
    """
    if refund.return_id is None:
        return
    saved = await refunds.save(connection, refund, event)
    if not saved and not await reading.is_visible(connection, refund.return_id):
        raise LookupError(f"a refund of the unknown return {refund.return_id}")
