"""What became of an order elsewhere, as events tell it."""

from collections.abc import Iterable

from common.database.statements import Connection, prepare
from common.messaging.envelope import ReceivedEvent
from sqlalchemy import BigInteger, Integer, Text, Uuid, bindparam, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from orders.domain import Order, Payment
from orders.events import InvoiceView, RefundView
from orders.repository.rows import CHANGING, changing_values, payment_columns, to_payment
from orders.tables import order_invoices, orders, payments

_ORDER_ID = bindparam("order_id", type_=Uuid)
_REFERENCE = bindparam("reference", type_=Text)
_SETTLE = prepare(
    update(payments)
    .where(
        payments.c.order_id == _ORDER_ID,
        or_(payments.c.reference == _REFERENCE, payments.c.first_reference == _REFERENCE),
        tuple_(payments.c.refund_epoch, payments.c.refund_sequence)
        < tuple_(bindparam("epoch", type_=Integer), bindparam("sequence", type_=BigInteger)),
    )
    .values(
        refund_status=bindparam("status"),
        refund_transaction_id=bindparam("transaction_id"),
        refund_epoch=bindparam("epoch"),
        refund_sequence=bindparam("sequence"),
    )
)
_PAYMENTS = prepare(
    select(*payment_columns)
    .where(payments.c.order_id == _ORDER_ID)
    .order_by(payments.c.refund_epoch, payments.c.refund_sequence)
)
_SAVE = prepare(update(orders).where(orders.c.id == _ORDER_ID).values({name: bindparam(name) for name in CHANGING}))

_new_invoice = insert(order_invoices).values({column.name: bindparam(column.name) for column in order_invoices.c})
_KEEP_INVOICE = prepare(
    _new_invoice.on_conflict_do_update(
        index_elements=[order_invoices.c.order_id],
        set_={column.name: column for column in _new_invoice.excluded if column.name != "order_id"},
        where=tuple_(order_invoices.c.epoch, order_invoices.c.sequence)
        < tuple_(_new_invoice.excluded.epoch, _new_invoice.excluded.sequence),
    )
)


async def settle_refund(connection: Connection, refund: RefundView, event: ReceivedEvent) -> bool:
    """Note at its payment what became of a refund; False when something newer, or this, is known already."""
    settled = await _SETTLE.execute(
        connection,
        order_id=refund.order_id,
        reference=refund.payment_reference,
        status=refund.status,
        transaction_id=refund.transaction_id,
        epoch=event.epoch,
        sequence=event.sequence,
    )
    return settled == 1


async def find_payments(connection: Connection, order: Order) -> tuple[Payment, ...]:
    """All payments of one order, those last whose refund was settled last."""
    rows = await _PAYMENTS.fetch_all(connection, order_id=order.id)
    return tuple(to_payment(row, order.currency) for row in rows)


async def save_recorded(connection: Connection, order: Order) -> None:
    """An order that only took note of something: no event, no audit row."""
    await _SAVE.execute(connection, order_id=order.id, **changing_values(order))


async def keep_invoices(connection: Connection, issued: Iterable[tuple[InvoiceView, ReceivedEvent]]) -> None:
    """Take note of issued invoices, of each order's the newest."""
    await _KEEP_INVOICE.execute_many(
        connection,
        [{**invoice.model_dump(), "epoch": event.epoch, "sequence": event.sequence} for invoice, event in issued],
    )
