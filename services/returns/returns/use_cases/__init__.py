"""Use cases of returns: one function per command or query, inside the caller's transaction."""

from returns.use_cases.commands import approve_return, change_return_state, reject_return
from returns.use_cases.delivery_wait import DeliveryWait
from returns.use_cases.opening import NewReturn, NotDeliveredYet, open_return
from returns.use_cases.queries import get_return, list_returns, require_visible
from returns.use_cases.results import save_orders, save_refund_result

__all__ = [
    "DeliveryWait",
    "NewReturn",
    "NotDeliveredYet",
    "approve_return",
    "change_return_state",
    "get_return",
    "list_returns",
    "open_return",
    "reject_return",
    "require_visible",
    "save_orders",
    "save_refund_result",
]
