"""Take note of what other services tell; it makes no event and no audit row."""

from collections.abc import Iterable

from common.database.statements import Connection
from common.messaging.envelope import ReceivedEvent

from returns.events import OrderView, RefundView
from returns.repository import known_orders, reading, results


async def copy_orders(connection: Connection, told: Iterable[tuple[OrderView, ReceivedEvent]]) -> None:
    """Keep of each order what was told last: by (epoch, sequence), for events may be repeated later."""
    await known_orders.keep(connection, told)


async def record_refund_result(connection: Connection, refund: RefundView, event: ReceivedEvent) -> None:
    """Note what became of a return's refund; an older result than the known one changes nothing.

    Raises `LookupError` for a return that does not exist here.
    """
    if refund.return_id is None:
        return
    recorded = await results.settle_refund(connection, refund, event)
    if not recorded and not await reading.is_visible(connection, refund.return_id):
        raise LookupError(f"a refund of the unknown return {refund.return_id}")
