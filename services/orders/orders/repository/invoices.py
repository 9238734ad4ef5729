"""The copy of the invoices of orders, which the service invoicing publishes."""

from collections.abc import Iterable
from uuid import UUID

from common.database.statements import Connection, Record, prepare
from common.messaging.envelope import ReceivedEvent
from sqlalchemy import Uuid, bindparam, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from orders.tables import order_invoices
from orders.views import InvoiceView

_FIND = prepare(select(order_invoices).where(order_invoices.c.order_id == bindparam("order_id", type_=Uuid)))
_new = insert(order_invoices).values({column.name: bindparam(column.name) for column in order_invoices.c})
_SAVE = prepare(
    _new.on_conflict_do_update(
        index_elements=[order_invoices.c.order_id],
        set_={column.name: column for column in _new.excluded if column.name != "order_id"},
        where=tuple_(order_invoices.c.epoch, order_invoices.c.sequence)
        < tuple_(_new.excluded.epoch, _new.excluded.sequence),
    )
)


async def find(connection: Connection, order_id: UUID) -> Record | None:
    """The row of `order_invoices`; None until the invoice is issued."""
    return await _FIND.fetch_one(connection, order_id=order_id)


async def save(connection: Connection, issued: Iterable[tuple[InvoiceView, ReceivedEvent]]) -> None:
    """Store the invoices; of each order only a newer one than is stored."""
    await _SAVE.execute_many(
        connection,
        [{**invoice.model_dump(), "epoch": event.epoch, "sequence": event.sequence} for invoice, event in issued],
    )
