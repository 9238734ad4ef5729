"""The domain of orders: plain Python, no I/O."""

from orders.domain.order import LISTED_PAYMENTS, Address, Customer, NewOrder, Order
from orders.domain.payment import Payment, PaymentKind
from orders.domain.pricing import TOTAL_LIMIT, InvalidTotal, NewLine, OrderLine, Tax
from orders.domain.states import ALLOWED_TRANSITIONS, OrderStatus, RefundStatus, TransitionRefused

__all__ = [
    "ALLOWED_TRANSITIONS",
    "LISTED_PAYMENTS",
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
    "PaymentKind",
    "RefundStatus",
    "Tax",
    "TransitionRefused",
]
