"""The copy of what orders has told of its orders, and how far behind the topic it may be."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.database.statements import Connection, prepare
from common.database.tables import consumer_positions
from common.messaging.envelope import ReceivedEvent
from common.messaging.kafka.partitioner import partition_of
from sqlalchemy import ARRAY, Uuid, any_, bindparam, case, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from returns.domain import KnownOrder
from returns.events import ORDERS_TOPIC, OrderView
from returns.repository.rows import to_known_order
from returns.tables import known_orders, returns


@dataclass(frozen=True, slots=True)
class Consideration:
    """All that decides about a return of an order, as of one moment: `now`. `return_id` is for a new return."""

    order: KnownOrder | None
    already_returned: bool
    now: datetime
    return_id: UUID


_order_id = bindparam("order_id", type_=Uuid)
# now() is the transaction's beginning: as near to the request's arrival as the database knows.
_moment = select(
    func.now().label("now"),
    func.uuidv7().label("return_id"),
    exists().where(returns.c.order_id == _order_id).label("already_returned"),
).subquery("moment")
_CONSIDER = prepare(
    select(_moment, known_orders).select_from(_moment.outerjoin(known_orders, known_orders.c.order_id == _order_id))
)
_DELIVERED = prepare(
    select(known_orders.c.order_id, known_orders.c.customer_id).where(
        known_orders.c.order_id == any_(bindparam("order_ids", type_=ARRAY(Uuid))), known_orders.c.status == "DELIVERED"
    )
)
_positions = consumer_positions.c
# Rows are left over from a topic that had more partitions before it was made anew; they are reported no more.
_is_of_late = _positions.reported_at >= func.max(_positions.reported_at).over() - timedelta(minutes=1)
_CAUGHT_UP = prepare(
    select(
        _positions.partition,
        case((_is_of_late, _positions.partition_count)).label("partition_count"),
        _positions.caught_up_at,
    ).where(_positions.topic == ORDERS_TOPIC)
)

_told = insert(known_orders).values({column.name: bindparam(column.name) for column in known_orders.c})
_KEEP = prepare(
    _told.on_conflict_do_update(
        index_elements=[known_orders.c.order_id],
        set_={column.name: column for column in _told.excluded if column.name != "order_id"},
        where=tuple_(known_orders.c.epoch, known_orders.c.sequence)
        < tuple_(_told.excluded.epoch, _told.excluded.sequence),
    )
)


async def consider(connection: Connection, order_id: UUID) -> Consideration:
    row = await _CONSIDER.fetch_one(connection, order_id=order_id)
    assert row is not None  # noqa: S101 - the moment has one row, whatever is known of the order
    order = None if row["order_id"] is None else to_known_order(row)
    return Consideration(order, row["already_returned"], row["now"], row["return_id"])


async def find_delivered(connection: Connection, order_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Those of the orders that are delivered as far as is known, each with its customer."""
    rows = await _DELIVERED.fetch_all(connection, order_ids=list(order_ids))
    return {row["order_id"]: row["customer_id"] for row in rows}


async def caught_up_at(connection: Connection, order_id: UUID) -> datetime | None:
    """All that was in the order's partition of the orders' topic at this time is in the copy; None: not known."""
    rows = await _CAUGHT_UP.fetch_all(connection)
    # Not each partition has a row, before its consumer has first looked at it. Consumers from before do not tell.
    count = max((row["partition_count"] or 0 for row in rows), default=0) or len(rows)
    if count == 0:
        return None
    wanted = partition_of(str(order_id), count)
    return next((row["caught_up_at"] for row in rows if row["partition"] == wanted), None)


async def keep(connection: Connection, told: Iterable[tuple[OrderView, ReceivedEvent]]) -> None:
    """Take over what events tell, of each order the newest."""
    await _KEEP.execute_many(
        connection,
        [{**order.model_dump(), "epoch": event.epoch, "sequence": event.sequence} for order, event in told],
    )
