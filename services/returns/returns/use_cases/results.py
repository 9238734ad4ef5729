"""Results of other services at the returns that they are about: no event, no audit row."""

from common.database.statements import Connection
from common.messaging.envelope import ReceivedEvent

from returns.events import RefundView
from returns.repository import reading, refunds


async def save_refund_result(connection: Connection, refund: RefundView, event: ReceivedEvent) -> None:
    """Store the result of a return's refund; an older one than the stored one changes nothing.

    Raises `LookupError` for a return that does not exist here.
    """
    if refund.return_id is None:
        return
    saved = await refunds.save(connection, refund, event)
    if not saved and not await reading.is_visible(connection, refund.return_id):
        raise LookupError(f"a refund of the unknown return {refund.return_id}")
