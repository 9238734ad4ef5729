"""The states of an order and the transitions between them: forward only."""

from collections.abc import Mapping
from enum import StrEnum


class OrderStatus(StrEnum):
    PENDING_PAYMENT = "PENDING_PAYMENT"
    PAID = "PAID"
    PROCESSING_IN_WAREHOUSE = "PROCESSING_IN_WAREHOUSE"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


ALLOWED_TRANSITIONS: Mapping[OrderStatus, tuple[OrderStatus, ...]] = {
    OrderStatus.PENDING_PAYMENT: (OrderStatus.PAID, OrderStatus.CANCELLED),
    OrderStatus.PAID: (OrderStatus.PROCESSING_IN_WAREHOUSE, OrderStatus.CANCELLED),
    OrderStatus.PROCESSING_IN_WAREHOUSE: (OrderStatus.SHIPPED,),
    OrderStatus.SHIPPED: (OrderStatus.DELIVERED,),
    OrderStatus.DELIVERED: (),
    OrderStatus.CANCELLED: (),
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


class TransitionRefused(Exception):
    """The order's state does not allow the transition."""

    def __init__(self, current: OrderStatus, requested: OrderStatus) -> None:
        super().__init__(f"{current} to {requested}")
        self.current = current
        self.requested = requested
        self.allowed = ALLOWED_TRANSITIONS[current]
