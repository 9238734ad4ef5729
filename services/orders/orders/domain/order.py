"""An order, its transitions and its payments."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from orders.domain.new_order import Address, NewOrder
from orders.domain.payment import Payment, PaymentKind
from orders.domain.pricing import OrderLine, Tax, price, taxes_on
from orders.domain.states import ALLOWED_TRANSITIONS, OrderStatus, RefundStatus, TransitionRefused

# The maximum number of payments that are read with an order, and shown: more than anybody reports by mistake.
LISTED_PAYMENTS = 100


class ExternalIdIsSet(Exception):
    """The order has another external id; it cannot be changed."""

    def __init__(self, external_id: str) -> None:
        super().__init__(external_id)
        self.external_id = external_id


@dataclass(frozen=True, slots=True)
class Order:
    """The current state of an order. A change gives a new one, with a higher `version`, or raises
    `TransitionRefused`."""

    id: UUID
    order_number: str
    customer_id: UUID
    customer_email: str | None
    customer_name: str | None
    buyer_vat_id: str | None
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
    # The total at the time of payment, and the amount of a refund.
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
    # In the order in which they were reported, at most `LISTED_PAYMENTS` of them.
    payments: tuple[Payment, ...] = ()
    # The client's own id of the order, which is unique within its owner: a customer, or a client that acts for many.
    external_id: str | None = None
    external_id_owner: UUID | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def place(
        cls, new: NewOrder, order_id: UUID, order_number: str, now: datetime, owner: UUID | None = None
    ) -> "Order":
        """`owner` is that of the external id. Raises `InvalidTotal` for a total of zero, or one that is too large."""
        priced_lines = price(new.lines, new.currency)
        return cls(
            id=order_id,
            order_number=order_number,
            customer_id=new.customer_id,
            customer_email=new.customer_email,
            customer_name=new.customer_name,
            buyer_vat_id=new.buyer_vat_id,
            currency=new.currency,
            lines=priced_lines.lines,
            net_amount=priced_lines.net_amount,
            tax_amount=priced_lines.tax_amount,
            total_amount=priced_lines.total_amount,
            payment_method=new.payment_method,
            shipping_address=new.shipping_address,
            billing_address=new.billing_address,
            created_at=now,
            updated_at=now,
            external_id=new.external_id,
            external_id_owner=None if new.external_id is None else owner,
            metadata=new.metadata,
        )

    @property
    def taxes(self) -> tuple[Tax, ...]:
        return taxes_on(self.lines, self.currency)

    @property
    def payment_reference(self) -> str | None:
        """The reference of the payment at the payment gateway; None before the order is paid."""
        return None if self.paid_at is None else self.reference_of(self.payment_transaction_id)

    def reference_of(self, transaction_id: str | None) -> str:
        """The transaction id, or a reference derived from the order where there is none."""
        return transaction_id or f"order-{self.id}"

    def pay(self, now: datetime, transaction_id: str | None = None, amount: Decimal | None = None) -> "Order":
        """Raises `TransitionRefused` also for another amount than the total."""
        if amount not in (None, self.total_amount):
            raise TransitionRefused(self.status, OrderStatus.PAID)
        return self._change_to(
            OrderStatus.PAID,
            now,
            paid_at=now,
            captured_amount=self.total_amount,
            payment_transaction_id=transaction_id,
            payments=(*self.payments, self._reported(PaymentKind.CAPTURED, now, transaction_id)),
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
        """A captured payment is to be refunded."""
        refund = RefundStatus.NONE if self.captured_amount is None else RefundStatus.PENDING
        return self._change_to(
            OrderStatus.CANCELLED, now, cancelled_at=now, cancellation_reason=reason, refund_status=refund
        )

    def amend(self, now: datetime, external_id: str, owner: UUID, metadata: Mapping[str, str]) -> "Order":
        """Set the metadata, and the external id unless it is empty. The same order where nothing changes.

        Raises `ExternalIdIsSet`.
        """
        if external_id in ("", self.external_id):
            return self if metadata == self.metadata else self._change(now, metadata=metadata)
        if self.external_id is not None:
            raise ExternalIdIsSet(self.external_id)
        return self._change(now, metadata=metadata, external_id=external_id, external_id_owner=owner)

    def refund_status_of(self, payment: Payment) -> RefundStatus:
        """A refund is pending for late and surplus payments, and for the captured payment of a cancelled order; about
        that of a mismatched payment people decide.

        The refund of a returned order is on the return, not here.
        """
        if payment.refund_status is not None:
            return payment.refund_status
        is_cancelled = self.status is OrderStatus.CANCELLED
        is_owed = payment.kind in _ALWAYS_REFUNDED or (payment.kind is PaymentKind.CAPTURED and is_cancelled)
        return RefundStatus.PENDING if is_owed else RefundStatus.NONE

    def knows_payment(self, transaction_id: str) -> bool:
        return any(payment.is_known_as(transaction_id) for payment in self.payments)

    @property
    def unidentified_payment(self) -> Payment | None:
        """The order's only payment, apart from mismatched ones, if it was reported without an id: the next reported id
        belongs to that payment."""
        fitting_payments = [payment for payment in self.payments if payment.kind is not PaymentKind.MISMATCHED]
        is_unidentified = len(fitting_payments) == 1 and fitting_payments[0].reference == self.reference_of(None)
        return fitting_payments[0] if is_unidentified else None

    def identify_payment(self, now: datetime, payment: Payment, transaction_id: str) -> "Order":
        """Set the id of the `unidentified_payment`."""
        identified_payment = replace(payment, reference=transaction_id, first_reference=payment.reference)
        is_captured = payment.kind is PaymentKind.CAPTURED
        return self._change(
            now,
            payments=tuple(identified_payment if each is payment else each for each in self.payments),
            payment_transaction_id=transaction_id if is_captured else self.payment_transaction_id,
        )

    def add_payment(self, now: datetime, transaction_id: str | None, amount: Decimal | None = None) -> "Order":
        """A payment that does not fit. Of another amount than the order needs, or than was assumed of a payment without
        an id, it is mismatched; else late for a cancelled order, and surplus for a paid one."""
        known_payment = self.unidentified_payment
        if self.status is OrderStatus.PENDING_PAYMENT or (
            known_payment is not None and amount not in (None, known_payment.amount)
        ):
            kind = PaymentKind.MISMATCHED
        else:
            kind = PaymentKind.LATE if self.status is OrderStatus.CANCELLED else PaymentKind.SURPLUS
        return self._change(
            now,
            payments=(*self.payments, self._reported(kind, now, transaction_id, amount)),
            refund_status=RefundStatus.PENDING if kind is PaymentKind.LATE else self.refund_status,
        )

    def apply_refunds(self, now: datetime, payments: tuple[Payment, ...]) -> "Order":
        """Set the payments with the results of their refunds, in the order in which these results came.

        The refund status of a cancelled order is that of its captured and late payments together: the first of
        `_REFUND_PRECEDENCE` that one of them has. Other payments have a status of their own only.
        """
        order = self._change(now, payments=tuple(sorted(payments, key=_when_reported)))
        relevant_payments = [payment for payment in payments if payment.kind in _PAYMENTS_OF_CANCELLATION]
        if self.status is not OrderStatus.CANCELLED or not relevant_payments:
            return order
        transaction_ids = [each.refund_transaction_id for each in relevant_payments if each.refund_transaction_id]
        return replace(
            order,
            refund_status=min(map(self.refund_status_of, relevant_payments), key=_REFUND_PRECEDENCE.index),
            refund_transaction_id=transaction_ids[-1] if transaction_ids else None,
        )

    def _reported(
        self, kind: PaymentKind, now: datetime, transaction_id: str | None, amount: Decimal | None = None
    ) -> Payment:
        """A payment without an amount counts as the order's total."""
        return Payment(self.reference_of(transaction_id), amount or self.total_amount, kind, now)

    def _change(self, now: datetime, **changes: Any) -> "Order":
        """A change that is no transition."""
        return replace(self, version=self.version + 1, updated_at=now, **changes)

    def _change_to(self, status: OrderStatus, now: datetime, **changes: Any) -> "Order":
        if status not in ALLOWED_TRANSITIONS[self.status]:
            raise TransitionRefused(self.status, status)
        return replace(self, status=status, version=self.version + 1, updated_at=now, **changes)


_ALWAYS_REFUNDED = (PaymentKind.LATE, PaymentKind.SURPLUS)
_PAYMENTS_OF_CANCELLATION = (PaymentKind.CAPTURED, PaymentKind.LATE)
# What is still under way comes first, then what needs somebody's attention.
_REFUND_PRECEDENCE = (
    RefundStatus.PENDING,
    RefundStatus.PROCESSING,
    RefundStatus.FAILED,
    RefundStatus.REVERSED,
    RefundStatus.SUCCEEDED,
)


def _when_reported(payment: Payment) -> tuple[datetime, str]:
    return payment.reported_at, payment.reference
