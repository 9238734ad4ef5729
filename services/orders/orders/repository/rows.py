"""Conversion between orders and their rows."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from common.aggregates.table import AggregateTable
from common.database.statements import Record
from common.money import quantize
from msgspec import convert
from sqlalchemy import JSON, ColumnElement, ScalarSelect, Text, case, cast, func, literal, select

from orders.domain.order import LISTED_PAYMENTS, Order
from orders.domain.payment import Payment, PaymentKind
from orders.domain.pricing import OrderLine
from orders.tables import ENTITY, order_counts, order_lines, orders, payments

_CHANGING = (
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
_AMENDING = ("external_id", "external_id_owner", "metadata", "updated_at", "version")
_ORDER = tuple(name for name in Order.__slots__ if name in orders.c)
_AMOUNTS = ("net_amount", "tax_amount", "total_amount", "captured_amount")
_LINE_AMOUNTS = ("unit_price", "subtotal")
# `attrgetter` takes half the time of a loop: every change of an order needs its values.
_values_of = attrgetter(*_ORDER)

# A statement that waited for a lock sees sub-selects as of before the wait. That is harmless here: lines never change.
_line = (
    select(*(order_lines.c[name] for name in OrderLine.__slots__))
    .where(order_lines.c.order_id == orders.c.id)
    .order_by(order_lines.c.position)
    .correlate(orders)
    .subquery("line")
)
_lines_as_json: ScalarSelect[Any] = select(func.json_agg(_line.table_valued(), type_=JSON)).scalar_subquery()
# Positions count from 1: the largest one, first in the index, is the number.
_number_of_lines: ScalarSelect[int] = (
    select(func.max(order_lines.c.position)).where(order_lines.c.order_id == orders.c.id).scalar_subquery()
)
# Metadata counts as lines of a thousand bytes, about the size of a line in a response.
size_in_lines: ColumnElement[int] = _number_of_lines + func.coalesce(
    func.octet_length(cast(orders.c.metadata, Text)) / 1000, 0
)
payment_columns = (
    payments.c.reference,
    payments.c.first_reference,
    payments.c.amount,
    case(
        (payments.c.late, PaymentKind.LATE),
        (payments.c.surplus, PaymentKind.SURPLUS),
        (payments.c.mismatched, PaymentKind.MISMATCHED),
        else_=PaymentKind.CAPTURED,
    ).label("kind"),
    payments.c.reported_at,
    payments.c.refund_status,
    payments.c.refund_transaction_id,
)
# Payments do change: a statement that waited for a lock may see too few of them (see `writing.lock`).
_payment = (
    select(*payment_columns)
    .where(payments.c.order_id == orders.c.id)
    .order_by(payments.c.reported_at, payments.c.reference)
    .limit(literal(LISTED_PAYMENTS, literal_execute=True))
    .correlate(orders)
    .subquery("payment")
)
_payments_as_json: ScalarSelect[Any] = select(func.json_agg(_payment.table_valued(), type_=JSON)).scalar_subquery()
_columns = (
    *(column for column in orders.c if column.name not in ("sequence", "audit_position", "audit_hash")),
    _lines_as_json.label("lines"),
    _payments_as_json.label("payments"),
)


def order_values(order: Order) -> dict[str, Any]:
    values = dict(zip(_ORDER, _values_of(order), strict=True))
    values["metadata"] = values["metadata"] or None  # null is read and written without a conversion
    return values


def to_order(row: Record) -> Order:
    """Amounts have four decimals in the row, and those of their currency in the order.

    `convert` makes the frozen dataclasses in C, from ids and statuses as texts too: a fifth of the time (ADR 15).
    """
    values = dict(row)
    currency = values["currency"]
    _quantize(values, _AMOUNTS, currency)
    for line in values["lines"]:
        _quantize(line, _LINE_AMOUNTS, currency)
    values["payments"] = values["payments"] or ()
    for payment in values["payments"]:
        _quantize(payment, ("amount",), currency)
    values["metadata"] = values["metadata"] or {}
    return convert(values, Order)


def to_payment(row: Record, currency: str) -> Payment:
    values = dict(row)
    _quantize(values, ("amount",), currency)
    return convert(values, Payment)


def _quantize(values: dict[str, Any], names: Iterable[str], currency: str) -> None:
    for name in names:
        if values[name] is not None:
            values[name] = quantize(values[name], currency)


ORDERS = AggregateTable(
    orders,
    ENTITY,
    columns=_columns,
    load=to_order,
    dump=order_values,
    changing=_CHANGING,
    amending=_AMENDING,
    counts=order_counts,
    owner=orders.c.customer_id,
)
