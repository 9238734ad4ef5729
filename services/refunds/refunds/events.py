"""The events that refunds publishes, and its views of events of orders and returns (docs/reference/events.md)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from common.audit.actor import Actor
from common.messaging.envelope import EventData, EventView
from common.messaging.outgoing.outbox import NewEvent

from refunds.domain.refund import Refund
from refunds.domain.request import (
    Cause,
    RefundRequest,
    cancellation_key,
    late_payment_key,
    return_key,
    surplus_payment_key,
)

REFUNDS_TOPIC = "articurated.refunds"
ORDERS_TOPIC = "articurated.orders"
RETURNS_TOPIC = "articurated.returns"

SUCCEEDED = "refund.succeeded"
FAILED = "refund.failed"
PUBLISHED = (SUCCEEDED, FAILED)

# The causes of version 1 are a closed set: a surplus payment has the nearest one.
_PUBLISHED_CAUSE: Mapping[Cause, Literal["RETURN_COMPLETED", "ORDER_CANCELLED", "LATE_PAYMENT"]] = {
    Cause.RETURN_COMPLETED: "RETURN_COMPLETED",
    Cause.ORDER_CANCELLED: "ORDER_CANCELLED",
    Cause.LATE_PAYMENT: "LATE_PAYMENT",
    Cause.SURPLUS_PAYMENT: "LATE_PAYMENT",
}


class RefundData(EventData):
    """The refund's full state after the change; the amount as a decimal string in major units.

    `cause` is LATE_PAYMENT for every payment that the state of its order did not allow.
    """

    refund_id: UUID
    order_id: UUID
    return_id: UUID | None = None
    cause: Literal["RETURN_COMPLETED", "ORDER_CANCELLED", "LATE_PAYMENT"]
    amount: Decimal
    currency: str
    payment_reference: str
    status: Literal["PENDING", "SUCCEEDED", "FAILED"]
    transaction_id: str | None = None
    error: str | None = None
    attempts: int
    created_at: datetime
    completed_at: datetime | None = None


def new_event(event_type: str, refund: Refund, actor: Actor) -> NewEvent:
    """`refund.succeeded`: the gateway has made the refund, under `transaction_id`. `refund.failed`: it failed
    permanently, until an operator replays its job; `refund.succeeded` may still follow.
    """
    return NewEvent.by(
        actor,
        type=event_type,
        topic=REFUNDS_TOPIC,
        aggregate_type="refund",
        aggregate_id=refund.id,
        key=refund.request.order_id,
        data=refund_data(refund).model_dump_json().encode(),
    )


def refund_data(refund: Refund) -> RefundData:
    request = refund.request
    fields = {"refund_id": refund.id, "cause": _PUBLISHED_CAUSE[request.cause]}
    for name in RefundData.model_fields.keys() - fields.keys():
        fields[name] = getattr(request if name in RefundRequest.__slots__ else refund, name)
    return RefundData.model_validate(fields)


class RefundOwedView(EventView, ABC):
    """View of an event that may cause a refund."""

    order_id: UUID
    order_number: str
    currency: str
    customer_email: str | None = None
    customer_name: str | None = None

    @abstractmethod
    def refund_request(self) -> RefundRequest | None:
        """None where nothing is owed. Raises `ValueError` for an amount or payment that cannot be refunded."""

    def _request(
        self, cause: Cause, business_key: str, amount: Decimal, payment_reference: str, return_id: UUID | None = None
    ) -> RefundRequest:
        return RefundRequest(
            business_key=business_key,
            cause=cause,
            order_id=self.order_id,
            order_number=self.order_number,
            return_id=return_id,
            amount=amount,
            currency=self.currency,
            payment_reference=payment_reference,
            customer_email=self.customer_email,
            customer_name=self.customer_name,
        )


class ReturnCompletedView(RefundOwedView):
    """`return.completed`"""

    return_id: UUID
    refund_amount: Decimal
    payment_reference: str

    def refund_request(self) -> RefundRequest:
        key = return_key(self.return_id)
        return self._request(Cause.RETURN_COMPLETED, key, self.refund_amount, self.payment_reference, self.return_id)


class OrderCancelledView(RefundOwedView):
    """`order.cancelled`: nothing was captured of an order that was not paid."""

    captured_amount: Decimal | None = None
    payment_reference: str | None = None

    def refund_request(self) -> RefundRequest | None:
        if self.captured_amount is None:
            return None
        if self.payment_reference is None:
            raise ValueError(f"order {self.order_id} was paid, and its cancellation names no payment reference")
        key = cancellation_key(self.order_id)
        return self._request(Cause.ORDER_CANCELLED, key, self.captured_amount, self.payment_reference)


class UnexpectedPaymentView(EventView):
    reference: str
    amount: Decimal


class OrderPaidLateView(RefundOwedView):
    """`order.late_payment`: a payment for an order that was already cancelled."""

    late_payment: UnexpectedPaymentView

    def refund_request(self) -> RefundRequest:
        reference = self.late_payment.reference
        key = late_payment_key(self.order_id, reference)
        return self._request(Cause.LATE_PAYMENT, key, self.late_payment.amount, reference)


class OrderPaidTwiceView(RefundOwedView):
    """`order.surplus_payment`: a payment for an order that another one had paid."""

    surplus_payment: UnexpectedPaymentView

    def refund_request(self) -> RefundRequest:
        reference = self.surplus_payment.reference
        key = surplus_payment_key(self.order_id, reference)
        return self._request(Cause.SURPLUS_PAYMENT, key, self.surplus_payment.amount, reference)


class IdentifiedPaymentView(EventView):
    first_reference: str
    reference: str


class OrderPaymentIdentifiedView(EventView):
    """`order.payment_identified`: the provider's id of a payment that had only a derived reference before."""

    order_id: UUID
    identified_payment: IdentifiedPaymentView
