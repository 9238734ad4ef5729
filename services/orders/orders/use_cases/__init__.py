"""Use cases of orders: one function per command or query, inside the caller's transaction."""

from orders.use_cases.commands import StateChange, cancel_order, change_state, place_order
from orders.use_cases.queries import get_invoice, get_order, list_orders, require_visible
from orders.use_cases.results import save_invoices, save_refund_result

__all__ = [
    "StateChange",
    "cancel_order",
    "change_state",
    "get_invoice",
    "get_order",
    "list_orders",
    "place_order",
    "require_visible",
    "save_invoices",
    "save_refund_result",
]
