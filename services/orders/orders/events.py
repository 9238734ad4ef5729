"""The events that orders publishes."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from common.audit.actor import Actor
from common.messaging.envelope import EventData
from common.messaging.outgoing.outbox import NewEvent

from orders.domain.order import Order
from orders.domain.payment import Payment, PaymentKind
from orders.domain.states import OrderStatus, RefundStatus

ORDERS_TOPIC = "articurated.orders"
INVOICES_TOPIC = "articurated.invoices"
REFUNDS_TOPIC = "articurated.refunds"

CREATED = "order.created"
LATE_PAYMENT = "order.late_payment"
SURPLUS_PAYMENT = "order.surplus_payment"
MISMATCHED_PAYMENT = "order.mismatched_payment"
PAYMENT_IDENTIFIED = "order.payment_identified"
OF_STATUS: Mapping[OrderStatus, str] = {
    OrderStatus.PAID: "order.paid",
    OrderStatus.PROCESSING_IN_WAREHOUSE: "order.processing",
    OrderStatus.SHIPPED: "order.shipped",
    OrderStatus.DELIVERED: "order.delivered",
    OrderStatus.CANCELLED: "order.cancelled",
}
OF_UNEXPECTED_PAYMENT: Mapping[PaymentKind, str] = {
    PaymentKind.LATE: LATE_PAYMENT,
    PaymentKind.SURPLUS: SURPLUS_PAYMENT,
    PaymentKind.MISMATCHED: MISMATCHED_PAYMENT,
}
PUBLISHED = (CREATED, *OF_STATUS.values(), LATE_PAYMENT, SURPLUS_PAYMENT, MISMATCHED_PAYMENT, PAYMENT_IDENTIFIED)


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


class IdentifiedPaymentData(EventData):
    """A payment that was known by `first_reference`, derived from the order, and whose id is `reference`."""

    reference: str
    first_reference: str
    amount: Decimal


# The refund states of version 1 are a closed set; what is known in detail is in the events of refunds.
PublishedRefundStatus: TypeAlias = Literal["NONE", "PENDING", "SUCCEEDED", "FAILED"]
_PUBLISHED_REFUND_STATUS: Mapping[RefundStatus, PublishedRefundStatus] = {
    RefundStatus.NONE: "NONE",
    RefundStatus.PENDING: "PENDING",
    RefundStatus.PROCESSING: "PENDING",
    RefundStatus.SUCCEEDED: "SUCCEEDED",
    RefundStatus.FAILED: "FAILED",
    RefundStatus.REVERSED: "FAILED",
}


class PaymentStateData(EventData):
    """One of an order's payments; `refund_status` is NONE where the order owes no refund of it."""

    reference: str
    amount: Decimal
    kind: Literal["CAPTURED", "LATE", "SURPLUS"]
    reported_at: datetime
    refund_status: PublishedRefundStatus
    refund_transaction_id: str | None


class MismatchedPaymentData(EventData):
    """A payment of another amount than the order needs; `refund_status` is NONE until staff has it refunded."""

    reference: str
    amount: Decimal
    reported_at: datetime
    refund_status: PublishedRefundStatus
    refund_transaction_id: str | None


class OrderData(EventData):
    """An order after the change; the data of every `order.*` event.

    `late_payment`, `surplus_payment`, `mismatched_payment` and `identified_payment` are each set only in the event of
    that name, and are the payment that it is about. `payments` and `mismatched_payments` are all reported payments, at
    most the first hundred.
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
    refund_status: PublishedRefundStatus
    refund_transaction_id: str | None
    late_payment: PaymentData | None
    version: int
    surplus_payment: PaymentData | None = None
    identified_payment: IdentifiedPaymentData | None = None
    payments: tuple[PaymentStateData, ...] = ()
    external_id: str | None = None
    metadata: Mapping[str, str] = {}
    mismatched_payment: PaymentData | None = None
    mismatched_payments: tuple[MismatchedPaymentData, ...] = ()


_CONVERTED = {"payments", "refund_status"}
_ORDER_FIELDS = tuple(name for name in OrderData.model_fields if hasattr(Order, name) and name not in _CONVERTED)
# The field with the payment that the event is about.
_ABOUT_PAYMENT = {
    LATE_PAYMENT: "late_payment",
    SURPLUS_PAYMENT: "surplus_payment",
    MISMATCHED_PAYMENT: "mismatched_payment",
    PAYMENT_IDENTIFIED: "identified_payment",
}
_encode = msgspec.json.Encoder().encode


def order_data(order: Order, event_type: str = CREATED, payment: Payment | None = None) -> bytes:
    """The JSON of an `OrderData`, encoded without making one, which would take half of the Python time (ADR 15)."""
    data = {
        "order_id": order.id,
        "line_items": order.lines,
        "late_payment": None,
        "surplus_payment": None,
        "identified_payment": None,
        "mismatched_payment": None,
        "payments": payment_states(order),
        "mismatched_payments": [
            _payment_state(order, payment, _MISMATCHED_PAYMENT)
            for payment in order.payments
            if payment.kind is PaymentKind.MISMATCHED
        ],
        "refund_status": _PUBLISHED_REFUND_STATUS[order.refund_status],
        **{name: getattr(order, name) for name in _ORDER_FIELDS},
    }
    if payment is not None:
        data[_ABOUT_PAYMENT[event_type]] = _payment_data(payment)
    return _encode(data)


_PAYMENT = tuple(PaymentStateData.model_fields)
_MISMATCHED_PAYMENT = tuple(MismatchedPaymentData.model_fields)


def payment_states(order: Order) -> list[dict[str, object]]:
    """The order's payments of the kinds of version 1, each with the fields of a `PaymentStateData`."""
    return [
        _payment_state(order, payment, _PAYMENT)
        for payment in order.payments
        if payment.kind is not PaymentKind.MISMATCHED
    ]


def _payment_state(order: Order, payment: Payment, names: Iterable[str]) -> dict[str, object]:
    refund_status = _PUBLISHED_REFUND_STATUS[order.refund_status_of(payment)]
    return {name: getattr(payment, name) for name in names} | {"refund_status": refund_status}


def _payment_data(payment: Payment) -> dict[str, Any]:
    data = {"reference": payment.reference, "amount": payment.amount}
    return data if payment.first_reference is None else {**data, "first_reference": payment.first_reference}


def new_event(event_type: str, order: Order, actor: Actor, payment: Payment | None = None) -> NewEvent:
    """`payment` is the one that an event of `_ABOUT_PAYMENT` is about."""
    return NewEvent.by(
        actor,
        type=event_type,
        topic=ORDERS_TOPIC,
        aggregate_type="order",
        aggregate_id=order.id,
        key=order.id,
        data=order_data(order, event_type, payment),
        time=order.updated_at,
    )
