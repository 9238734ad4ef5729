"""Takes in what customers are owed: a refund is opened here, and made by the worker."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from common.audit.actor import Actor
from common.database.statements import Connection
from common.messaging.envelope import EventView
from common.messaging.incoming.subscriber import EventHandler, Incoming
from common.telemetry.trace_context import new_traceparent

from refunds.domain import Cause, Claim, cancellation_key, late_payment_key, return_key, surplus_payment_key
from refunds.events import (
    OrderCancelled,
    OrderPaidLate,
    OrderPaidTwice,
    OrderPaidUnexpectedly,
    OrderPaymentIdentified,
    ReturnCompleted,
    UnexpectedPayment,
)
from refunds.use_cases.commands import OwedRefund, identify_payment, open_refunds

View = TypeVar("View", bound=EventView)


async def on_return_completed(connection: Connection, events: Sequence[Incoming[ReturnCompleted]]) -> None:
    await open_refunds(connection, _owed(events, _claim_of_return))


async def on_order_cancelled(connection: Connection, events: Sequence[Incoming[OrderCancelled]]) -> None:
    paid = [incoming for incoming in events if incoming.data.captured_amount is not None]
    await open_refunds(connection, _owed(paid, _claim_of_cancellation))


async def on_order_paid_late(connection: Connection, events: Sequence[Incoming[OrderPaidLate]]) -> None:
    await open_refunds(connection, _owed(events, _claim_of_late_payment))


async def on_order_paid_twice(connection: Connection, events: Sequence[Incoming[OrderPaidTwice]]) -> None:
    await open_refunds(connection, _owed(events, _claim_of_surplus_payment))


async def on_payment_identified(connection: Connection, events: Sequence[Incoming[OrderPaymentIdentified]]) -> None:
    for incoming in events:
        payment = incoming.data.identified_payment
        await identify_payment(connection, incoming.data.order_id, payment.first_reference, payment.reference)


EVENT_HANDLERS: Mapping[str, EventHandler[Any]] = {
    "return.completed": EventHandler(ReturnCompleted, on_return_completed),
    "order.cancelled": EventHandler(OrderCancelled, on_order_cancelled),
    "order.late_payment": EventHandler(OrderPaidLate, on_order_paid_late),
    "order.surplus_payment": EventHandler(OrderPaidTwice, on_order_paid_twice),
    "order.payment_identified": EventHandler(OrderPaymentIdentified, on_payment_identified),
}


def _owed(events: Sequence[Incoming[View]], claim_of: Callable[[View], Claim]) -> list[OwedRefund]:
    return [
        OwedRefund(
            claim_of(incoming.data),
            Actor(
                id=incoming.event.type,
                type="SYSTEM",
                trigger="EVENT",
                traceparent=new_traceparent(incoming.event.traceparent),
                causation_id=incoming.event.id,
            ),
        )
        for incoming in events
    ]


def _claim_of_return(completed: ReturnCompleted) -> Claim:
    return Claim(
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


def _claim_of_cancellation(cancelled: OrderCancelled) -> Claim:
    """Raises `ValueError` when the event says that money was captured but not where it can be paid back."""
    if cancelled.captured_amount is None or cancelled.payment_reference is None:
        raise ValueError(f"order {cancelled.order_id} was paid, and its cancellation names no payment reference")
    return Claim(
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


def _claim_of_late_payment(paid: OrderPaidLate) -> Claim:
    key = late_payment_key(paid.order_id, paid.late_payment.reference)
    return _claim_of_unexpected(paid, paid.late_payment, Cause.LATE_PAYMENT, key)


def _claim_of_surplus_payment(paid: OrderPaidTwice) -> Claim:
    key = surplus_payment_key(paid.order_id, paid.surplus_payment.reference)
    return _claim_of_unexpected(paid, paid.surplus_payment, Cause.SURPLUS_PAYMENT, key)


def _claim_of_unexpected(
    paid: OrderPaidUnexpectedly, payment: UnexpectedPayment, cause: Cause, business_key: str
) -> Claim:
    return Claim(
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
