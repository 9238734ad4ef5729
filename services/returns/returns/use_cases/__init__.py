"""What can be done with returns: one function per command or query, inside the caller's transaction."""

from returns.use_cases.delivery_wait import DeliveryWait
from returns.use_cases.opening import NewReturn, NotDeliveredYet, open_return
from returns.use_cases.processing import approve_return, change_return_state, reject_return
from returns.use_cases.queries import count_returns, get_history, get_return, list_returns
from returns.use_cases.recording import copy_orders, record_refund_result

__all__ = [
    "DeliveryWait",
    "NewReturn",
    "NotDeliveredYet",
    "approve_return",
    "change_return_state",
    "copy_orders",
    "count_returns",
    "get_history",
    "get_return",
    "list_returns",
    "open_return",
    "record_refund_result",
    "reject_return",
]
