"""What orders tells the others, and what it reads of their events."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec
from common.audit import Actor
from common.messaging import topics
from common.messaging.envelope import EventData, EventView
from common.messaging.outbox import NewEvent

from orders.domain import Order, OrderStatus, Payment, RefundStatus

CREATED = "order.created"
LATE_PAYMENT = "order.late_payment"
OF_STATUS: Mapping[OrderStatus, str] = {
    OrderStatus.PAID: "order.paid",
    OrderStatus.PROCESSING_IN_WAREHOUSE: "order.processing",
    OrderStatus.SHIPPED: "order.shipped",
    OrderStatus.DELIVERED: "order.delivered",
    OrderStatus.CANCELLED: "order.cancelled",
}
PUBLISHED = (CREATED, *OF_STATUS.values(), LATE_PAYMENT)


class AddressData(EventData):
    street: str
    city: str
    state: str
    zip: str
    country: str


class LineData(EventData):
    """`tax_rate` is in percent; `subtotal` is without tax."""

    id: UUID
    product_id: UUID
    product_name: str
    quantity: int
    unit_price: Decimal
    tax_rate: Decimal
    subtotal: Decimal


class TaxData(EventData):
    rate: Decimal
    net: Decimal
    tax: Decimal


class PaymentData(EventData):
    reference: str
    amount: Decimal


class OrderData(EventData):
    """An order after the change that the event is about; the data of every `order.*` event.

    `late_payment` is set in `order.late_payment` only: the payment that came after the order was cancelled.
    """

    order_id: UUID
    order_number: str
    customer_id: UUID
    customer_email: str | None
    customer_name: str | None
    buyer_vat_id: str | None
    status: OrderStatus
    currency: str
    line_items: tuple[LineData, ...]
    taxes: tuple[TaxData, ...]
    net_amount: Decimal
    tax_amount: Decimal
    total_amount: Decimal
    captured_amount: Decimal | None
    payment_method: str
    payment_transaction_id: str | None
    payment_reference: str | None
    shipping_address: AddressData
    billing_address: AddressData
    tracking_number: str | None
    carrier: str | None
    created_at: datetime
    updated_at: datetime
    paid_at: datetime | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    cancelled_at: datetime | None
    cancellation_reason: str | None
    refund_status: RefundStatus
    refund_transaction_id: str | None
    late_payment: PaymentData | None
    version: int


class RefundView(EventView):
    """Of `refund.succeeded` and `refund.failed`: which payment went back, or did not."""

    order_id: UUID
    cause: str
    payment_reference: str
    status: Literal["SUCCEEDED", "FAILED"]
    transaction_id: str | None = None


class InvoiceDocument(EventView):
    sha256: str
    size_bytes: int
    content_type: str


class InvoiceView(EventView):
    """Of `invoice.issued`: where a client finds the document."""

    invoice_id: UUID
    invoice_number: str
    order_id: UUID
    currency: str
    total_amount: Decimal
    issued_at: datetime
    document: InvoiceDocument


_SAME_NAME = tuple(name for name in OrderData.model_fields if name in Order.__slots__)
_encode = msgspec.json.Encoder().encode


def order_data(order: Order, late_payment: Payment | None = None) -> bytes:
    """The JSON of an `OrderData`, written without making one: that would be half of what Python costs (ADR 0015)."""
    customer = order.customer
    late = None if late_payment is None else {"reference": late_payment.reference, "amount": late_payment.amount}
    return _encode(
        {
            "order_id": order.id,
            "order_number": order.number,
            "customer_id": customer.id,
            "customer_email": customer.email,
            "customer_name": customer.name,
            "buyer_vat_id": customer.vat_id,
            "line_items": order.lines,
            "taxes": order.taxes,
            "payment_reference": order.payment_reference,
            "late_payment": late,
            **{name: getattr(order, name) for name in _SAME_NAME},
        }
    )


def new_event(
    event_type: str, order: Order, sequence: int, actor: Actor, late_payment: Payment | None = None
) -> NewEvent:
    return NewEvent(
        type=event_type,
        topic=topics.ORDERS,
        aggregate_type="order",
        aggregate_id=order.id,
        key=str(order.id),
        sequence=sequence,
        data=order_data(order, late_payment),
        traceparent=actor.traceparent,
        causation_id=actor.causation_id,
    )
