"""What refunds reads of the events of orders and returns: payments, and what customers are owed."""

from abc import ABC, abstractmethod
from decimal import Decimal
from uuid import UUID

from common.messaging.envelope import EventView

from refunds.domain.book import Capture, EntryKind
from refunds.domain.request import (
    Cause,
    RefundRequest,
    cancellation_key,
    late_payment_key,
    return_key,
    surplus_payment_key,
)


class OrderView(EventView):
    """What every event has that is about an order's money."""

    order_id: UUID
    order_number: str
    currency: str
    customer_email: str | None = None
    customer_name: str | None = None


class PaymentView(OrderView, ABC):
    """View of an event that reports a payment which is not to be refunded by itself."""

    @abstractmethod
    def capture(self) -> Capture:
        """Raises `ValueError` for an amount that cannot have been paid."""

    def _capture(self, kind: EntryKind, reference: str, amount: Decimal, currency: str | None = None) -> Capture:
        return Capture(
            order_id=self.order_id,
            kind=kind,
            reference=reference,
            amount=amount,
            currency=currency or self.currency,
            order_number=self.order_number,
            customer_email=self.customer_email,
            customer_name=self.customer_name,
        )


class OrderPaidView(PaymentView):
    """`order.paid`"""

    captured_amount: Decimal
    payment_reference: str

    def capture(self) -> Capture:
        return self._capture(EntryKind.CAPTURE, self.payment_reference, self.captured_amount)


class MismatchedPaymentView(EventView):
    reference: str
    amount: Decimal
    currency: str | None = None


class OrderPaymentMismatchedView(PaymentView):
    """`order.mismatched_payment`: a payment of another amount than the order's total; people decide about it."""

    mismatched_payment: MismatchedPaymentView

    def capture(self) -> Capture:
        payment = self.mismatched_payment
        return self._capture(EntryKind.MISMATCHED_PAYMENT, payment.reference, payment.amount, payment.currency)


class RefundOwedView(OrderView, ABC):
    """View of an event that may cause a refund."""

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
