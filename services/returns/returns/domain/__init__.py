"""The domain of returns: plain Python, no I/O."""

from returns.domain.eligibility import Ineligibility, KnownOrder, ineligibility
from returns.domain.return_ import Return
from returns.domain.states import ALLOWED_TRANSITIONS, RefundStatus, RejectionReason, ReturnStatus, TransitionRefused

__all__ = [
    "ALLOWED_TRANSITIONS",
    "Ineligibility",
    "KnownOrder",
    "RefundStatus",
    "RejectionReason",
    "Return",
    "ReturnStatus",
    "TransitionRefused",
    "ineligibility",
]
