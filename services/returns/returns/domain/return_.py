"""The return of an order, and its transitions."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from returns.domain.eligibility import KnownOrder
from returns.domain.states import ALLOWED_TRANSITIONS, RefundStatus, RejectionReason, ReturnStatus, TransitionRefused


@dataclass(frozen=True, slots=True)
class Return:
    """The current state of a return. A change gives a new one with a higher `version`, or raises `TransitionRefused`.

    The refund is always the order's total; the client cannot choose it.
    """

    id: UUID
    order_id: UUID
    order_number: str
    customer_id: UUID
    customer_email: str | None
    customer_name: str | None
    reason: str
    customer_notes: str | None
    refund_amount: Decimal
    currency: str
    payment_reference: str
    created_at: datetime
    updated_at: datetime
    status: ReturnStatus = ReturnStatus.REQUESTED
    version: int = 1
    manager_notes: str | None = None
    rejection_reason: RejectionReason | None = None
    refund_status: RefundStatus = RefundStatus.NONE
    refund_transaction_id: str | None = None
    approved_at: datetime | None = None
    rejected_at: datetime | None = None
    completed_at: datetime | None = None

    @classmethod
    def open(
        cls, order: KnownOrder, return_id: UUID, now: datetime, *, reason: str, customer_notes: str | None
    ) -> "Return":
        """Raises `ValueError` for an order without a payment: there is nothing to refund."""
        if order.payment_reference is None:
            raise ValueError(f"no payment is known of order {order.order_id}")
        return cls(
            id=return_id,
            order_id=order.order_id,
            order_number=order.order_number,
            customer_id=order.customer_id,
            customer_email=order.customer_email,
            customer_name=order.customer_name,
            reason=reason,
            customer_notes=customer_notes,
            refund_amount=order.total_amount,
            currency=order.currency,
            payment_reference=order.payment_reference,
            created_at=now,
            updated_at=now,
        )

    def approve(self, now: datetime, manager_notes: str) -> "Return":
        return self._change_to(ReturnStatus.APPROVED, now, approved_at=now, manager_notes=manager_notes)

    def reject(self, now: datetime, manager_notes: str, rejection_reason: RejectionReason) -> "Return":
        return self._change_to(
            ReturnStatus.REJECTED,
            now,
            rejected_at=now,
            manager_notes=manager_notes,
            rejection_reason=rejection_reason,
        )

    def ship_back(self, now: datetime) -> "Return":
        return self._change_to(ReturnStatus.IN_TRANSIT, now)

    def receive(self, now: datetime) -> "Return":
        return self._change_to(ReturnStatus.RECEIVED, now)

    def complete(self, now: datetime) -> "Return":
        """The refund is pending from now on."""
        return self._change_to(ReturnStatus.COMPLETED, now, completed_at=now, refund_status=RefundStatus.PENDING)

    def _change_to(self, status: ReturnStatus, now: datetime, **changes: Any) -> "Return":
        if status not in ALLOWED_TRANSITIONS[self.status]:
            raise TransitionRefused(self.status, status)
        return replace(self, status=status, version=self.version + 1, updated_at=now, **changes)
