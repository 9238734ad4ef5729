"""Between an order and its rows."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from common.database.statements import Record
from common.money import quantize
from sqlalchemy import JSON, ScalarSelect, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from orders.domain import Address, Customer, Order, OrderLine, OrderStatus, RefundStatus
from orders.tables import order_lines, orders

# Lines never change, so it does no harm that a statement which waited for a lock sees them as of before.
lines_as_json: ScalarSelect[Any] = (
    select(func.json_agg(aggregate_order_by(order_lines.table_valued(), order_lines.c.position), type_=JSON))
    .where(order_lines.c.order_id == orders.c.id)
    .correlate(orders)
    .scalar_subquery()
)

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
_LINE = ("id", "product_id", "product_name", "quantity", "unit_price", "tax_rate", "subtotal")


def changing_values(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in CHANGING}


def all_values(order: Order) -> dict[str, Any]:
    return {
        "order_number": order.number,
        "customer_id": order.customer.id,
        "customer_email": order.customer.email,
        "customer_name": order.customer.name,
        "buyer_vat_id": order.customer.vat_id,
        **{name: getattr(order, name) for name in _FOR_EVER},
        **changing_values(order),
    }


def line_columns(lines: tuple[OrderLine, ...]) -> dict[str, list[Any]]:
    """The lines turned by ninety degrees, for `unnest`."""
    return {f"line_{name}": [getattr(line, name) for line in lines] for name in _LINE}


def to_order(row: Record) -> Order:
    """Amounts come with four decimals and leave with those of their currency."""
    currency, captured = row["currency"], row["captured_amount"]
    return Order(
        id=row["id"],
        number=row["order_number"],
        customer=Customer(row["customer_id"], row["customer_email"], row["customer_name"], row["buyer_vat_id"]),
        currency=currency,
        lines=tuple([_to_line(line, currency) for line in row["lines"]]),
        net_amount=quantize(row["net_amount"], currency),
        tax_amount=quantize(row["tax_amount"], currency),
        total_amount=quantize(row["total_amount"], currency),
        payment_method=row["payment_method"],
        shipping_address=Address(**row["shipping_address"]),
        billing_address=Address(**row["billing_address"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        status=OrderStatus(row["status"]),
        version=row["version"],
        captured_amount=None if captured is None else quantize(captured, currency),
        payment_transaction_id=row["payment_transaction_id"],
        tracking_number=row["tracking_number"],
        carrier=row["carrier"],
        cancellation_reason=row["cancellation_reason"],
        refund_status=RefundStatus(row["refund_status"]),
        refund_transaction_id=row["refund_transaction_id"],
        paid_at=row["paid_at"],
        shipped_at=row["shipped_at"],
        delivered_at=row["delivered_at"],
        cancelled_at=row["cancelled_at"],
    )


def _to_line(line: Mapping[str, Any], currency: str) -> OrderLine:
    return OrderLine(
        id=UUID(line["id"]),
        product_id=UUID(line["product_id"]),
        product_name=line["product_name"],
        quantity=line["quantity"],
        unit_price=quantize(line["unit_price"], currency),
        tax_rate=line["tax_rate"],
        subtotal=quantize(line["subtotal"], currency),
    )
