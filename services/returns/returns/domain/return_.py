"""The return of an order, its states, and the transitions between them: forward only."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from returns.domain.eligibility import KnownOrder


class ReturnStatus(StrEnum):
    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    IN_TRANSIT = "IN_TRANSIT"
    RECEIVED = "RECEIVED"
    COMPLETED = "COMPLETED"


ALLOWED_TRANSITIONS: Mapping[ReturnStatus, tuple[ReturnStatus, ...]] = {
    ReturnStatus.REQUESTED: (ReturnStatus.APPROVED, ReturnStatus.REJECTED),
    ReturnStatus.APPROVED: (ReturnStatus.IN_TRANSIT,),
    ReturnStatus.REJECTED: (),
    ReturnStatus.IN_TRANSIT: (ReturnStatus.RECEIVED,),
    ReturnStatus.RECEIVED: (ReturnStatus.COMPLETED,),
    ReturnStatus.COMPLETED: (),
}


class RefundStatus(StrEnum):
    """The state of a refund, apart from the state machine."""

    NONE = "NONE"
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class RejectionReason(StrEnum):
    DAMAGE_NOT_COVERED = "damage_not_covered"
    POLICY_VIOLATION = "policy_violation"
    OUTSIDE_WINDOW = "outside_window"
    FRAUDULENT = "fraudulent"


class TransitionRefused(Exception):
    """The return's state does not allow the transition."""

    def __init__(self, current: ReturnStatus, requested: ReturnStatus) -> None:
        super().__init__(f"{current} to {requested}")
        self.current = current
        self.requested = requested
        self.allowed = ALLOWED_TRANSITIONS[current]


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
            ReturnStatus.REJECTED, now, rejected_at=now, manager_notes=manager_notes, rejection_reason=rejection_reason
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
