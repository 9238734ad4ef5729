"""The handlers of consumed events: a refund is opened for each amount that a customer is owed."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from common.audit.actor import Actor
from common.database.statements import Connection
from common.messaging.envelope import EventView
from common.messaging.incoming.records import EventHandler, Handlers, Incoming

from refunds.domain.request import (
    Cause,
    RefundRequest,
    cancellation_key,
    late_payment_key,
    return_key,
    surplus_payment_key,
)
from refunds.events import (
    CustomerView,
    OrderCancelledView,
    OrderPaidLateView,
    OrderPaidTwiceView,
    OrderPaymentIdentifiedView,
    ReturnCompletedView,
)
from refunds.use_cases.opening import identify_payment, open_refunds

View = TypeVar("View", bound=EventView)


async def on_return_completed(connection: Connection, events: Sequence[Incoming[ReturnCompletedView]]) -> None:
    await open_refunds(connection, _requests(events, _request_of_return))


async def on_order_cancelled(connection: Connection, events: Sequence[Incoming[OrderCancelledView]]) -> None:
    paid = [incoming for incoming in events if incoming.data.captured_amount is not None]
    await open_refunds(connection, _requests(paid, _request_of_cancellation))


async def on_order_paid_late(connection: Connection, events: Sequence[Incoming[OrderPaidLateView]]) -> None:
    await open_refunds(connection, _requests(events, _request_of_late_payment))


async def on_order_paid_twice(connection: Connection, events: Sequence[Incoming[OrderPaidTwiceView]]) -> None:
    await open_refunds(connection, _requests(events, _request_of_surplus_payment))


async def on_payment_identified(connection: Connection, events: Sequence[Incoming[OrderPaymentIdentifiedView]]) -> None:
    for incoming in events:
        payment = incoming.data.identified_payment
        await identify_payment(connection, incoming.data.order_id, payment.first_reference, payment.reference)


EVENT_HANDLERS: Handlers = {
    "return.completed": EventHandler(ReturnCompletedView, on_return_completed),
    "order.cancelled": EventHandler(OrderCancelledView, on_order_cancelled),
    "order.late_payment": EventHandler(OrderPaidLateView, on_order_paid_late),
    "order.surplus_payment": EventHandler(OrderPaidTwiceView, on_order_paid_twice),
    "order.payment_identified": EventHandler(OrderPaymentIdentifiedView, on_payment_identified),
}


def _requests(
    events: Sequence[Incoming[View]], request_of: Callable[[View], RefundRequest]
) -> list[tuple[RefundRequest, Actor]]:
    return [(request_of(incoming.data), incoming.event.new_actor()) for incoming in events]


def _request_of_return(completed: ReturnCompletedView) -> RefundRequest:
    key, reference = return_key(completed.return_id), completed.payment_reference
    return _request(
        completed, Cause.RETURN_COMPLETED, key, completed.refund_amount, reference, return_id=completed.return_id
    )


def _request_of_cancellation(cancelled: OrderCancelledView) -> RefundRequest:
    """Raises `ValueError` when the event has a captured amount but no payment reference."""
    amount, reference = cancelled.captured_amount, cancelled.payment_reference
    if amount is None or reference is None:
        raise ValueError(f"order {cancelled.order_id} was paid, and its cancellation names no payment reference")
    return _request(cancelled, Cause.ORDER_CANCELLED, cancellation_key(cancelled.order_id), amount, reference)


def _request_of_late_payment(paid: OrderPaidLateView) -> RefundRequest:
    payment = paid.late_payment
    key = late_payment_key(paid.order_id, payment.reference)
    return _request(paid, Cause.LATE_PAYMENT, key, payment.amount, payment.reference)


def _request_of_surplus_payment(paid: OrderPaidTwiceView) -> RefundRequest:
    payment = paid.surplus_payment
    key = surplus_payment_key(paid.order_id, payment.reference)
    return _request(paid, Cause.SURPLUS_PAYMENT, key, payment.amount, payment.reference)


def _request(
    view: CustomerView,
    cause: Cause,
    business_key: str,
    amount: Decimal,
    payment_reference: str,
    *,
    return_id: UUID | None = None,
) -> RefundRequest:
    return RefundRequest(
        business_key=business_key,
        cause=cause,
        order_id=view.order_id,
        order_number=view.order_number,
        return_id=return_id,
        amount=amount,
        currency=view.currency,
        payment_reference=payment_reference,
        customer_email=view.customer_email,
        customer_name=view.customer_name,
    )
