"""The return of an order, its states, and the transitions between them: forward only."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    """The state of a refund, apart from the state machine. None of them is final: a failed refund may be replayed, a
    successful one reversed by the provider, and a reversed one settled by hand."""

    NONE = "NONE"
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"  # the provider has it, or may have it; the money is not back yet
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REVERSED = "REVERSED"  # the provider took its success back


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


class ExternalIdIsSet(Exception):
    """The return has another external id; it cannot be changed."""

    def __init__(self, external_id: str) -> None:
        super().__init__(external_id)
        self.external_id = external_id


@dataclass(frozen=True, slots=True)
class Approval:
    """One of the approvals of a return, by a member of staff."""

    approved_by: UUID
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class NewReturn:
    """A requested return."""

    order_id: UUID
    reason: str
    customer_notes: str | None = None
    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


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
    # The client's own id of the return, which is unique within its owner: a customer, or a client that acts for many.
    external_id: str | None = None
    external_id_owner: UUID | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    # Who opened it; unknown of a return that is older than this field.
    opened_by: UUID | None = None
    approvals: tuple[Approval, ...] = ()

    @classmethod
    def open(
        cls,
        order: KnownOrder,
        new: NewReturn,
        return_id: UUID,
        now: datetime,
        owner: UUID | None = None,
        opened_by: UUID | None = None,
    ) -> "Return":
        """`owner` is that of the external id.

        Raises `ValueError` for an order without a payment: there is nothing to refund.
        """
        if order.payment_reference is None:
            raise ValueError(f"no payment is known of order {order.order_id}")
        return cls(
            id=return_id,
            order_id=order.order_id,
            order_number=order.order_number,
            customer_id=order.customer_id,
            customer_email=order.customer_email,
            customer_name=order.customer_name,
            reason=new.reason,
            customer_notes=new.customer_notes,
            refund_amount=order.total_amount,
            currency=order.currency,
            payment_reference=order.payment_reference,
            created_at=now,
            updated_at=now,
            external_id=new.external_id,
            external_id_owner=None if new.external_id is None else owner,
            metadata=new.metadata,
            opened_by=opened_by,
        )

    def approve(self, now: datetime, manager_notes: str, approver: UUID, approvers_needed: int = 1) -> "Return":
        """Add the approval. The return is APPROVED when it has `approvers_needed` approvals of different approvers.
        An approver who has approved before gets the unchanged return while others are needed; fewer may be needed now.
        """
        has_approved = any(each.approved_by == approver for each in self.approvals)
        approvals = self.approvals if has_approved else (*self.approvals, Approval(approver, now))
        if ReturnStatus.APPROVED in ALLOWED_TRANSITIONS[self.status] and len(approvals) < approvers_needed:
            return self if has_approved else self._change(now, approvals=approvals)
        return self._change_to(
            ReturnStatus.APPROVED, now, approved_at=now, manager_notes=manager_notes, approvals=approvals
        )

    def reject(self, now: datetime, manager_notes: str, rejection_reason: RejectionReason) -> "Return":
        return self._change_to(
            ReturnStatus.REJECTED, now, rejected_at=now, manager_notes=manager_notes, rejection_reason=rejection_reason
        )

    def approve_unreviewed(self, now: datetime, notes: str) -> "Return":
        """The system approves, where staff has not decided in time."""
        return self._change_to(ReturnStatus.APPROVED, now, approved_at=now, manager_notes=notes)

    def ship_back(self, now: datetime) -> "Return":
        return self._change_to(ReturnStatus.IN_TRANSIT, now)

    def receive(self, now: datetime) -> "Return":
        return self._change_to(ReturnStatus.RECEIVED, now)

    def complete(self, now: datetime) -> "Return":
        """The refund is pending from now on."""
        return self._change_to(ReturnStatus.COMPLETED, now, completed_at=now, refund_status=RefundStatus.PENDING)

    def record_refund(self, now: datetime, status: RefundStatus, transaction_id: str | None) -> "Return":
        """The state of its refund. The last known transaction id is kept where the new state comes without one."""
        return self._change(
            now, refund_status=status, refund_transaction_id=transaction_id or self.refund_transaction_id
        )

    def amend(self, now: datetime, external_id: str, owner: UUID, metadata: Mapping[str, str]) -> "Return":
        """Set the metadata, and the external id unless it is empty. The same return where nothing changes.

        Raises `ExternalIdIsSet`.
        """
        if external_id in ("", self.external_id):
            return self if metadata == self.metadata else self._change(now, metadata=metadata)
        if self.external_id is not None:
            raise ExternalIdIsSet(self.external_id)
        return self._change(now, metadata=metadata, external_id=external_id, external_id_owner=owner)

    def _change(self, now: datetime, **changes: Any) -> "Return":
        """A change that is no transition."""
        return replace(self, version=self.version + 1, updated_at=now, **changes)

    def _change_to(self, status: ReturnStatus, now: datetime, **changes: Any) -> "Return":
        if status not in ALLOWED_TRANSITIONS[self.status]:
            raise TransitionRefused(self.status, status)
        return replace(self, status=status, version=self.version + 1, updated_at=now, **changes)
