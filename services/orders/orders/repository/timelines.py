"""Reading what orders shows of one order on its timeline (ADR 42)."""

from uuid import UUID

from common.database.statements import Connection, Record, prepare
from sqlalchemy import Text, Uuid, bindparam, func, or_, select

from orders.tables import order_invoices, orders, payments

_order_id = bindparam("order_id", type_=Uuid)
_ORDER = prepare(
    select(
        *(orders.c.id, orders.c.order_number, orders.c.status, orders.c.refund_status, orders.c.currency),
        *(orders.c.total_amount, orders.c.captured_amount, orders.c.customer_email, orders.c.payment_transaction_id),
        *(orders.c.created_at, orders.c.paid_at, orders.c.shipped_at, orders.c.delivered_at, orders.c.cancelled_at),
        *(orders.c.updated_at, orders.c.sequence),
    ).where(orders.c.id == _order_id)
)
_PAYMENTS = prepare(
    select(
        *(payments.c.reference, payments.c.first_reference, payments.c.amount, payments.c.late, payments.c.surplus),
        *(payments.c.mismatched, payments.c.reported_at, payments.c.refund_status, payments.c.refund_transaction_id),
    )
    .where(payments.c.order_id == _order_id)
    .order_by(payments.c.reported_at)
    .limit(100)
)
_INVOICE = prepare(
    select(order_invoices.c.invoice_id, order_invoices.c.invoice_number, order_invoices.c.issued_at).where(
        order_invoices.c.order_id == _order_id
    )
)
_ID = prepare(
    select(orders.c.id).where(
        or_(orders.c.id == _order_id, orders.c.order_number == func.upper(bindparam("order_number", type_=Text)))
    )
)


async def find_order(connection: Connection, order_id: UUID) -> Record | None:
    return await _ORDER.fetch_one(connection, order_id=order_id)


async def find_payments(connection: Connection, order_id: UUID) -> list[Record]:
    """Oldest first, at most 100."""
    return await _PAYMENTS.fetch_all(connection, order_id=order_id)


async def find_invoice(connection: Connection, order_id: UUID) -> Record | None:
    """The copy of the invoice, once it is issued."""
    return await _INVOICE.fetch_one(connection, order_id=order_id)


async def find_id(connection: Connection, order_number: str, order_id: UUID | None) -> UUID | None:
    """Of the order with this number or id."""
    found: UUID | None = await _ID.fetch_value(connection, order_number=order_number, order_id=order_id)
    return found
