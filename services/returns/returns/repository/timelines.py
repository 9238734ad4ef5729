"""Reading what returns shows of one order on its timeline (ADR 42)."""

from uuid import UUID

from common.database.statements import Connection, Record, prepare
from sqlalchemy import Uuid, bindparam, select

from returns.tables import known_orders, returns

_order_id = bindparam("order_id", type_=Uuid)
_RETURN = prepare(
    select(
        *(returns.c.id, returns.c.status, returns.c.reason, returns.c.rejection_reason, returns.c.refund_amount),
        *(returns.c.currency, returns.c.payment_reference, returns.c.refund_status, returns.c.refund_transaction_id),
        *(returns.c.created_at, returns.c.updated_at, returns.c.approved_at, returns.c.rejected_at),
        *(returns.c.completed_at, returns.c.approvals),
    ).where(returns.c.order_id == _order_id)
)
_COPY = prepare(
    select(known_orders.c.status, known_orders.c.epoch, known_orders.c.sequence).where(
        known_orders.c.order_id == _order_id
    )
)


async def find_return(connection: Connection, order_id: UUID) -> Record | None:
    return await _RETURN.fetch_one(connection, order_id=order_id)


async def find_copy(connection: Connection, order_id: UUID) -> Record | None:
    """The copy of the order."""
    return await _COPY.fetch_one(connection, order_id=order_id)
