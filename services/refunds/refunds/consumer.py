"""Consumer of what customers are owed: opens refunds, which the worker then makes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from common.audit.actor import Actor
from common.database.statements import Connection
from common.messaging.envelope import EventView
from common.messaging.incoming.records import EventHandler, Incoming

from refunds.domain import Cause, RefundRequest, cancellation_key, late_payment_key, return_key, surplus_payment_key
from refunds.events import (
    OrderCancelledView,
    OrderPaidLateView,
    OrderPaidTwiceView,
    OrderPaidUnexpectedlyView,
    OrderPaymentIdentifiedView,
    ReturnCompletedView,
    UnexpectedPaymentView,
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


EVENT_HANDLERS: Mapping[str, EventHandler[Any]] = {
    "return.completed": EventHandler(ReturnCompletedView, on_return_completed),
    "order.cancelled": EventHandler(OrderCancelledView, on_order_cancelled),
    "order.late_payment": EventHandler(OrderPaidLateView, on_order_paid_late),
    "order.surplus_payment": EventHandler(OrderPaidTwiceView, on_order_paid_twice),
    "order.payment_identified": EventHandler(OrderPaymentIdentifiedView, on_payment_identified),
}


def _requests(
    events: Sequence[Incoming[View]], request_of: Callable[[View], RefundRequest]
) -> list[tuple[RefundRequest, Actor]]:
    return [(request_of(incoming.data), Actor.of_event(incoming.event)) for incoming in events]


def _request_of_return(completed: ReturnCompletedView) -> RefundRequest:
    return RefundRequest(
        business_key=return_key(completed.return_id),
        cause=Cause.RETURN_COMPLETED,
        order_id=completed.order_id,
        order_number=completed.order_number,
        return_id=completed.return_id,
        amount=completed.refund_amount,
        currency=completed.currency,
        payment_reference=completed.payment_reference,
        customer_email=completed.customer_email,
        customer_name=completed.customer_name,
    )


def _request_of_cancellation(cancelled: OrderCancelledView) -> RefundRequest:
    """Raises `ValueError` when the event has a captured amount but no payment reference."""
    if cancelled.captured_amount is None or cancelled.payment_reference is None:
        raise ValueError(f"order {cancelled.order_id} was paid, and its cancellation names no payment reference")
    return RefundRequest(
        business_key=cancellation_key(cancelled.order_id),
        cause=Cause.ORDER_CANCELLED,
        order_id=cancelled.order_id,
        order_number=cancelled.order_number,
        return_id=None,
        amount=cancelled.captured_amount,
        currency=cancelled.currency,
        payment_reference=cancelled.payment_reference,
        customer_email=cancelled.customer_email,
        customer_name=cancelled.customer_name,
    )


def _request_of_late_payment(paid: OrderPaidLateView) -> RefundRequest:
    key = late_payment_key(paid.order_id, paid.late_payment.reference)
    return _request_of_unexpected(paid, paid.late_payment, Cause.LATE_PAYMENT, key)


def _request_of_surplus_payment(paid: OrderPaidTwiceView) -> RefundRequest:
    key = surplus_payment_key(paid.order_id, paid.surplus_payment.reference)
    return _request_of_unexpected(paid, paid.surplus_payment, Cause.SURPLUS_PAYMENT, key)


def _request_of_unexpected(
    paid: OrderPaidUnexpectedlyView, payment: UnexpectedPaymentView, cause: Cause, business_key: str
) -> RefundRequest:
    return RefundRequest(
        business_key=business_key,
        cause=cause,
        order_id=paid.order_id,
        order_number=paid.order_number,
        return_id=None,
        amount=payment.amount,
        currency=paid.currency,
        payment_reference=payment.reference,
        customer_email=paid.customer_email,
        customer_name=paid.customer_name,
    )
