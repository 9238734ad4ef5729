"""An order and what may be done with it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from orders.domain.pricing import NewLine, OrderLine, Tax, price, taxes_on
from orders.domain.states import ALLOWED_TRANSITIONS, OrderStatus, RefundStatus, TransitionRefused


@dataclass(frozen=True, slots=True)
class Address:
    street: str
    city: str
    state: str
    zip: str
    country: str


@dataclass(frozen=True, slots=True)
class Customer:
    id: UUID
    email: str | None = None
    name: str | None = None
    vat_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a customer asks for."""

    customer: Customer
    currency: str
    lines: tuple[NewLine, ...]
    payment_method: str
    shipping_address: Address
    billing_address: Address


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that was reported for an order; `late` when the order had been cancelled by then.

    `refund_status` is None until a refund of it has succeeded or failed.
    """

    reference: str
    amount: Decimal
    late: bool
    refund_status: RefundStatus | None = None
    refund_transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands. A change gives a new one, with a higher `version`, or raises `TransitionRefused`."""

    id: UUID
    number: str
    customer: Customer
    currency: str
    lines: tuple[OrderLine, ...]
    net_amount: Decimal
    tax_amount: Decimal
    total_amount: Decimal
    payment_method: str
    shipping_address: Address
    billing_address: Address
    created_at: datetime
    updated_at: datetime
    status: OrderStatus = OrderStatus.PENDING_PAYMENT
    version: int = 1
    # The total at the time of payment: what a refund pays back.
    captured_amount: Decimal | None = None
    payment_transaction_id: str | None = None
    tracking_number: str | None = None
    carrier: str | None = None
    cancellation_reason: str | None = None
    refund_status: RefundStatus = RefundStatus.NONE
    refund_transaction_id: str | None = None
    paid_at: datetime | None = None
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    cancelled_at: datetime | None = None

    @classmethod
    def place(cls, new: NewOrder, order_id: UUID, number: str, now: datetime) -> "Order":
        """Raises `InvalidTotal` for lines that add up to nothing or too much."""
        priced = price(new.lines, new.currency)
        return cls(
            id=order_id,
            number=number,
            customer=new.customer,
            currency=new.currency,
            lines=priced.lines,
            net_amount=priced.net_amount,
            tax_amount=priced.tax_amount,
            total_amount=priced.total_amount,
            payment_method=new.payment_method,
            shipping_address=new.shipping_address,
            billing_address=new.billing_address,
            created_at=now,
            updated_at=now,
        )

    @property
    def taxes(self) -> tuple[Tax, ...]:
        return taxes_on(self.lines, self.currency)

    @property
    def payment_reference(self) -> str | None:
        """What the payment is known by to the payment gateway; None before it is paid."""
        return None if self.paid_at is None else self.reference_of(self.payment_transaction_id)

    def reference_of(self, transaction_id: str | None) -> str:
        """A payment reported without a transaction id is known by the order it was for."""
        return transaction_id or f"order-{self.id}"

    def pay(self, now: datetime, transaction_id: str | None = None) -> "Order":
        return self._change_to(
            OrderStatus.PAID,
            now,
            paid_at=now,
            captured_amount=self.total_amount,
            payment_transaction_id=transaction_id,
        )

    def start_processing(self, now: datetime) -> "Order":
        return self._change_to(OrderStatus.PROCESSING_IN_WAREHOUSE, now)

    def ship(self, now: datetime, tracking_number: str | None = None, carrier: str | None = None) -> "Order":
        return self._change_to(
            OrderStatus.SHIPPED, now, shipped_at=now, tracking_number=tracking_number, carrier=carrier
        )

    def deliver(self, now: datetime) -> "Order":
        return self._change_to(OrderStatus.DELIVERED, now, delivered_at=now)

    def cancel(self, now: datetime, reason: str) -> "Order":
        """What was paid is to be paid back."""
        refund = RefundStatus.NONE if self.captured_amount is None else RefundStatus.PENDING
        return self._change_to(
            OrderStatus.CANCELLED, now, cancelled_at=now, cancellation_reason=reason, refund_status=refund
        )

    def record_late_payment(self, now: datetime) -> "Order":
        """Money came for an order that was cancelled before: it goes back."""
        return replace(self, refund_status=RefundStatus.PENDING, version=self.version + 1, updated_at=now)

    def record_refunds(self, now: datetime, payments: Iterable[Payment]) -> "Order":
        """Take over what became of a cancelled order's payments: pending while one is, failed if one has failed."""
        results = [(payment.refund_status or RefundStatus.PENDING, payment) for payment in payments]
        status = min((result for result, _ in results), key=_REFUND_PRECEDENCE.index)
        succeeded = [payment for result, payment in results if result is RefundStatus.SUCCEEDED]
        return replace(
            self,
            refund_status=status,
            refund_transaction_id=succeeded[-1].refund_transaction_id if succeeded else None,
            version=self.version + 1,
            updated_at=now,
        )

    def _change_to(self, status: OrderStatus, now: datetime, **changes: Any) -> "Order":
        if status not in ALLOWED_TRANSITIONS[self.status]:
            raise TransitionRefused(self.status, status)
        return replace(self, status=status, version=self.version + 1, updated_at=now, **changes)


_REFUND_PRECEDENCE = (RefundStatus.PENDING, RefundStatus.FAILED, RefundStatus.SUCCEEDED)
