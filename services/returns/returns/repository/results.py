"""What became of a refund elsewhere, as events tell it, and the counts that are kept on the side."""

from common.envelope import ReceivedEvent
from common.statements import Connection, prepare
from sqlalchemy import BigInteger, Integer, Uuid, bindparam, cast, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from returns.events import RefundView
from returns.tables import return_count_changes, return_counts, returns

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

_oldest = (
    select(return_count_changes.c.position)
    .order_by(return_count_changes.c.position)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)
_taken = (
    delete(return_count_changes)
    .where(return_count_changes.c.position.in_(_oldest))
    .returning(return_count_changes.c.status, return_count_changes.c.change)
    .cte("taken")
)
_folded = insert(return_counts).from_select(
    ["status", "count"],
    select(_taken.c.status, cast(func.sum(_taken.c.change), BigInteger)).group_by(_taken.c.status).order_by("status"),
)
_FOLD = prepare(
    _folded.on_conflict_do_update(
        index_elements=[return_counts.c.status], set_={"count": return_counts.c.count + _folded.excluded.count}
    )
)


async def settle_refund(connection: Connection, refund: RefundView, event: ReceivedEvent) -> bool:
    """Note on its return what became of a refund; False when something newer, or this, is known, or no such return."""
    settled = await _SETTLE.execute(connection, **refund.model_dump(), epoch=event.epoch, sequence=event.sequence)
    return settled == 1


async def fold_counts(connection: Connection, limit: int = 5000) -> int:
    """Move up to `limit` count changes into the totals; how many statuses were touched, 0 when nothing was left."""
    return await _FOLD.execute(connection, limit=limit)
