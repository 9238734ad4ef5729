"""Between an order and its rows."""

from collections.abc import Iterable
from typing import Any

from common.database.statements import Record
from common.money import quantize
from msgspec import convert
from sqlalchemy import JSON, ColumnElement, ScalarSelect, Uuid, bindparam, case, func, literal, or_, select

from orders.domain import LISTED_PAYMENTS, Order, OrderLine, Payment, PaymentKind
from orders.tables import order_lines, orders, payments

# What a change of an order may touch.
CHANGING = (
    "status",
    "captured_amount",
    "payment_transaction_id",
    "tracking_number",
    "carrier",
    "cancellation_reason",
    "refund_status",
    "refund_transaction_id",
    "updated_at",
    "paid_at",
    "shipped_at",
    "delivered_at",
    "cancelled_at",
    "version",
)
_FOR_EVER = (
    "id",
    "currency",
    "net_amount",
    "tax_amount",
    "total_amount",
    "payment_method",
    "shipping_address",
    "billing_address",
    "created_at",
)
_AMOUNTS = ("net_amount", "tax_amount", "total_amount", "captured_amount")
_LINE_AMOUNTS = ("unit_price", "subtotal")
_CUSTOMER = {"id": "customer_id", "email": "customer_email", "name": "customer_name", "vat_id": "buyer_vat_id"}
_LINE = ("id", "product_id", "product_name", "quantity", "unit_price", "tax_rate", "subtotal")

# Lines never change, so it does no harm that a statement which waited for a lock sees them as of before.
_line = (
    select(*(order_lines.c[name] for name in _LINE))
    .where(order_lines.c.order_id == orders.c.id)
    .order_by(order_lines.c.position)
    .correlate(orders)
    .subquery("line")
)
_lines_as_json: ScalarSelect[Any] = select(func.json_agg(_line.table_valued(), type_=JSON)).scalar_subquery()
# Positions count from 1, so that one look into the index tells.
number_of_lines: ScalarSelect[int] = (
    select(func.max(order_lines.c.position)).where(order_lines.c.order_id == orders.c.id).scalar_subquery()
)
payment_columns = (
    payments.c.reference,
    payments.c.first_reference,
    payments.c.amount,
    case(
        (payments.c.late, PaymentKind.LATE), (payments.c.surplus, PaymentKind.SURPLUS), else_=PaymentKind.CAPTURED
    ).label("kind"),
    payments.c.reported_at,
    payments.c.refund_status,
    payments.c.refund_transaction_id,
)
# Payments do change, and whoever waited for the lock may see too few of them here (see `writing.lock`).
_payment = (
    select(*payment_columns)
    .where(payments.c.order_id == orders.c.id)
    .order_by(payments.c.reported_at, payments.c.reference)
    .limit(literal(LISTED_PAYMENTS, literal_execute=True))
    .correlate(orders)
    .subquery("payment")
)
_payments_as_json: ScalarSelect[Any] = select(func.json_agg(_payment.table_valued(), type_=JSON)).scalar_subquery()
# What an order is made of; the table also keeps where its events and its audit trail have come to.
order_columns = (
    *(column for column in orders.c if column.name not in ("sequence", "audit_position", "audit_hash")),
    _lines_as_json.label("lines"),
    _payments_as_json.label("payments"),
)

the_order: ColumnElement[bool] = orders.c.id == bindparam("order_id", type_=Uuid)
_viewer = bindparam("visible_to", type_=Uuid)
# The order, where the one customer named by `visible_to` may see it; None sees every order. Another customer's order
# is found as little as one that does not exist: the same statement, no row, no lock, and so the same time.
the_visible_order: ColumnElement[bool] = the_order & or_(_viewer.is_(None), orders.c.customer_id == _viewer)


def changing_values(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in CHANGING}


def all_values(order: Order) -> dict[str, Any]:
    return {
        "order_number": order.number,
        **{column: getattr(order.customer, name) for name, column in _CUSTOMER.items()},
        **{name: getattr(order, name) for name in _FOR_EVER},
        **changing_values(order),
    }


def line_columns(lines: tuple[OrderLine, ...]) -> dict[str, list[Any]]:
    """The lines turned by ninety degrees, for `unnest`."""
    return {f"line_{name}": [getattr(line, name) for line in lines] for name in _LINE}


def to_order(row: Record) -> Order:
    """Amounts come with four decimals and leave with those of their currency.

    `convert` makes the frozen dataclasses in C, from ids and statuses as texts too: a fifth of the time (ADR 0015).
    """
    values = dict(row)
    currency = values["currency"]
    _quantize(values, _AMOUNTS, currency)
    for line in values["lines"]:
        _quantize(line, _LINE_AMOUNTS, currency)
    values["payments"] = values["payments"] or ()
    for payment in values["payments"]:
        _quantize(payment, ("amount",), currency)
    values["number"] = values["order_number"]
    values["customer"] = {name: values[column] for name, column in _CUSTOMER.items()}
    return convert(values, Order)


def to_payment(row: Record, currency: str) -> Payment:
    values = dict(row)
    _quantize(values, ("amount",), currency)
    return convert(values, Payment)


def _quantize(values: dict[str, Any], names: Iterable[str], currency: str) -> None:
    for name in names:
        if values[name] is not None:
            values[name] = quantize(values[name], currency)
