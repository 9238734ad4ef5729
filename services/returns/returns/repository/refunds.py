"""Which event of refunds a return's refund status is from."""

from uuid import UUID

from common.database.statements import Connection, prepare
from common.messaging.envelope import ReceivedEvent
from sqlalchemy import BigInteger, Integer, Uuid, bindparam, tuple_, update

from returns.tables import returns

_ADVANCE = prepare(
    update(returns)
    .where(
        returns.c.id == bindparam("return_id", type_=Uuid),
        tuple_(returns.c.refund_epoch, returns.c.refund_sequence)
        < tuple_(bindparam("epoch", type_=Integer), bindparam("sequence", type_=BigInteger)),
    )
    .values(refund_epoch=bindparam("epoch"), refund_sequence=bindparam("sequence"))
)


async def advance(connection: Connection, return_id: UUID, event: ReceivedEvent) -> bool:
    """Whether the event is newer than the stored one, which it then replaces."""
    updated_rows = await _ADVANCE.execute(connection, return_id=return_id, epoch=event.epoch, sequence=event.sequence)
    return updated_rows == 1
