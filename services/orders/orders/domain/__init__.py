"""Orders without the world around them: plain Python, no I/O."""

from orders.domain.order import Address, Customer, NewOrder, Order, Payment
from orders.domain.pricing import TOTAL_LIMIT, InvalidTotal, NewLine, OrderLine, Tax
from orders.domain.states import ALLOWED_TRANSITIONS, OrderStatus, RefundStatus, TransitionRefused

__all__ = [
    "ALLOWED_TRANSITIONS",
    "TOTAL_LIMIT",
    "Address",
    "Customer",
    "InvalidTotal",
    "NewLine",
    "NewOrder",
    "Order",
    "OrderLine",
    "OrderStatus",
    "Payment",
    "RefundStatus",
    "Tax",
    "TransitionRefused",
]
