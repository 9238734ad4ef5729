"""What became of a refund elsewhere, as events tell it."""

from common.database.statements import Connection, prepare
from common.messaging.envelope import ReceivedEvent
from sqlalchemy import BigInteger, Integer, Uuid, bindparam, func, tuple_, update

from returns.events import RefundView
from returns.tables import returns

_SETTLE = prepare(
    update(returns)
    .where(
        returns.c.id == bindparam("return_id", type_=Uuid),
        tuple_(returns.c.refund_epoch, returns.c.refund_sequence)
        < tuple_(bindparam("epoch", type_=Integer), bindparam("sequence", type_=BigInteger)),
    )
    .values(
        refund_status=bindparam("status"),
        refund_transaction_id=bindparam("transaction_id"),
        refund_epoch=bindparam("epoch"),
        refund_sequence=bindparam("sequence"),
        updated_at=func.greatest(func.clock_timestamp(), returns.c.updated_at),
        version=returns.c.version + 1,
    )
)


async def settle_refund(connection: Connection, refund: RefundView, event: ReceivedEvent) -> bool:
    """Note on its return what became of a refund; False when something newer, or this, is known, or no such return."""
    settled = await _SETTLE.execute(connection, **refund.model_dump(), epoch=event.epoch, sequence=event.sequence)
    return settled == 1
