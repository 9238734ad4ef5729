"""Statements of the checks: returns whose refund is not known, and the versions of known orders (ADR 40)."""

from collections.abc import Iterable
from uuid import UUID

from common.database.statements import Connection, prepare
from common.reconciliation.candidates import recent_or_open
from sqlalchemy import ARRAY, Integer, Interval, Text, Uuid, any_, bindparam, cast, func, select

from returns.domain.return_ import RefundStatus, ReturnStatus
from returns.tables import known_orders, returns

REFUND_RESULT_MISSING = "refund_result_missing"

_long_ago = func.now() - bindparam("limit", type_=Interval)
find_without_refund_result = prepare(
    select(
        cast(returns.c.id, Text).label("subject"),
        cast(returns.c.order_id, Text).label("key"),
        returns.c.id.label("return_id"),
        returns.c.order_id,
        returns.c.order_number,
        returns.c.refund_amount,
        returns.c.currency,
        returns.c.completed_at,
    )
    .where(
        returns.c.order_id.in_(recent_or_open(REFUND_RESULT_MISSING, returns.c.order_id, returns.c.updated_at)),
        returns.c.status == ReturnStatus.COMPLETED,
        returns.c.refund_status == RefundStatus.PENDING,
        returns.c.completed_at < _long_ago,
    )
    .order_by(returns.c.completed_at)
    .limit(bindparam("most", type_=Integer))
)
_VERSIONS = prepare(
    select(known_orders.c.order_id, known_orders.c.epoch, known_orders.c.sequence).where(
        known_orders.c.order_id == any_(bindparam("order_ids", type_=ARRAY(Uuid)))
    )
)


async def versions_of_known_orders(connection: Connection, order_ids: Iterable[UUID]) -> dict[str, tuple[int, int]]:
    """Epoch and sequence of the event that each copy is from, by order id; nothing for an order without a copy."""
    rows = await _VERSIONS.fetch_all(connection, order_ids=list(order_ids))
    return {str(row["order_id"]): (row["epoch"], row["sequence"]) for row in rows}
