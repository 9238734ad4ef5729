"""The results of refunds, which the service refunds publishes, at the returns that they are for."""

from common.database.statements import Connection, prepare
from common.messaging.envelope import ReceivedEvent
from sqlalchemy import BigInteger, Integer, Uuid, bindparam, func, tuple_, update

from returns.events import RefundView
from returns.tables import returns

_SAVE = prepare(
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


async def save(connection: Connection, refund: RefundView, event: ReceivedEvent) -> bool:
    """Store the result at its return; False when this or a newer one is stored, or no such return."""
    updated_rows = await _SAVE.execute(connection, **refund.model_dump(), epoch=event.epoch, sequence=event.sequence)
    return updated_rows == 1
