"""What the events of refunds say about the refund of a return (ADR 39)."""

from common.database.statements import Connection
from common.messaging.envelope import ReceivedEvent

from returns.events import OF_REFUND, RefundView
from returns.repository import refunds, writing


async def save_refund(connection: Connection, refund: RefundView, event: ReceivedEvent) -> None:
    """Store the state of a return's refund, with an audit row and without an event; an older state changes nothing.

    Raises `LookupError` for a return that does not exist here.
    """
    if refund.return_id is None:
        return
    locked = await writing.lock(connection, refund.return_id)
    if locked is None:
        raise LookupError(f"a refund of the unknown return {refund.return_id}")
    if not await refunds.advance(connection, refund.return_id, event):
        return
    status = OF_REFUND[event.type]
    changed = locked.value.record_refund(locked.now, status, refund.transaction_id)
    details = refund.model_dump(exclude={"return_id"}, exclude_none=True) | {"refund_status": status}
    await writing.save(connection, locked, changed, event.new_actor(), details)
