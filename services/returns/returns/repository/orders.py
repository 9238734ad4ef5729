"""The copy of orders, which the service orders publishes."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.database.statements import Connection, prepare
from common.messaging.envelope import ReceivedEvent
from sqlalchemy import ARRAY, Uuid, any_, bindparam, exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from returns.domain.eligibility import KnownOrder
from returns.events import OrderView
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
# now() is the transaction's beginning: the nearest time to the request's arrival that the database knows.
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
_new = insert(known_orders).values({column.name: bindparam(column.name) for column in known_orders.c})
_SAVE = prepare(
    _new.on_conflict_do_update(
        index_elements=[known_orders.c.order_id],
        set_={column.name: column for column in _new.excluded if column.name != "order_id"},
        where=tuple_(known_orders.c.epoch, known_orders.c.sequence)
        < tuple_(_new.excluded.epoch, _new.excluded.sequence),
    )
)


async def consider(connection: Connection, order_id: UUID) -> Consideration:
    [row] = await _CONSIDER.fetch_all(connection, order_id=order_id)
    order = None if row["order_id"] is None else to_known_order(row)
    return Consideration(order, row["already_returned"], row["now"], row["return_id"])


async def find_delivered(connection: Connection, order_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Those of the orders that are delivered according to the copy, each with its customer."""
    rows = await _DELIVERED.fetch_all(connection, order_ids=list(order_ids))
    return {row["order_id"]: row["customer_id"] for row in rows}


async def save(connection: Connection, orders: Iterable[tuple[OrderView, ReceivedEvent]]) -> None:
    """Store the orders; of each only a newer one than is stored."""
    await _SAVE.execute_many(
        connection,
        [{**order.model_dump(), "epoch": event.epoch, "sequence": event.sequence} for order, event in orders],
    )
