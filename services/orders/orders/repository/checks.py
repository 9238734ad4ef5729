"""Statements of the checks: orders whose invoice or refund is not known (ADR 40)."""

from common.database.statements import prepare
from common.reconciliation.candidates import recent_or_open
from sqlalchemy import Integer, Interval, Text, bindparam, cast, exists, func, or_, select

from orders.domain.states import OrderStatus
from orders.tables import order_invoices, orders, payments

INVOICE_MISSING = "invoice_missing"
REFUND_RESULT_MISSING = "refund_result_missing"

_most = bindparam("most", type_=Integer)
_long_ago = func.now() - bindparam("limit", type_=Interval)
find_without_invoice = prepare(
    select(
        cast(orders.c.id, Text).label("subject"),
        cast(orders.c.id, Text).label("key"),
        orders.c.id.label("order_id"),
        orders.c.order_number,
        orders.c.shipped_at,
    )
    .where(
        orders.c.id.in_(recent_or_open(INVOICE_MISSING, orders.c.id, orders.c.updated_at)),
        orders.c.shipped_at < _long_ago,
        ~exists().where(order_invoices.c.order_id == orders.c.id),
    )
    .order_by(orders.c.shipped_at)
    .limit(_most)
)
_is_cancelled = orders.c.status == OrderStatus.CANCELLED
_is_captured = ~payments.c.late & ~payments.c.surplus
_owed_since = func.greatest(payments.c.reported_at, orders.c.cancelled_at)
find_without_refund_result = prepare(
    select(
        func.concat(cast(orders.c.id, Text), ":", payments.c.reference).label("subject"),
        cast(orders.c.id, Text).label("key"),
        orders.c.id.label("order_id"),
        orders.c.order_number,
        payments.c.reference.label("payment_reference"),
        payments.c.amount,
        orders.c.currency,
    )
    .join(payments, payments.c.order_id == orders.c.id)
    .where(
        orders.c.id.in_(recent_or_open(REFUND_RESULT_MISSING, orders.c.id, orders.c.updated_at)),
        payments.c.refund_status.is_(None),
        ~payments.c.mismatched,  # staff decides about it
        or_(~_is_captured, _is_cancelled),
        _owed_since < _long_ago,
    )
    .order_by(_owed_since)
    .limit(_most)
)
