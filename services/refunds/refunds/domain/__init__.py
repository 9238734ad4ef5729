"""Refunds as plain Python, without I/O."""

from refunds.domain.refund import ALLOWED_TRANSITIONS, Refund, RefundStatus, TransitionRefused
from refunds.domain.request import (
    Cause,
    RefundRequest,
    cancellation_key,
    late_payment_key,
    return_key,
    surplus_payment_key,
)

__all__ = [
    "ALLOWED_TRANSITIONS",
    "Cause",
    "Refund",
    "RefundRequest",
    "RefundStatus",
    "TransitionRefused",
    "cancellation_key",
    "late_payment_key",
    "return_key",
    "surplus_payment_key",
]
