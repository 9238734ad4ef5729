"""The states of a return and the transitions between them: forward only."""

from collections.abc import Mapping
from enum import StrEnum


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
