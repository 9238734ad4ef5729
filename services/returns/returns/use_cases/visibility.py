"""Whose orders and returns a caller sees: another customer's are as good as none."""

from uuid import UUID

from common.access.auth import Caller, Role


def bound_to(caller: Caller) -> UUID | None:
    """The one customer whom this caller acts for; None for staff, and for a client that acts for many."""
    return caller.customer_id if caller.role is Role.CLIENT else None


def may_see(caller: Caller, customer_id: UUID) -> bool:
    return bound_to(caller) in (None, customer_id)
