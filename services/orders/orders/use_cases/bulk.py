"""The state change of many orders: each by the use case of one order, in a transaction of its own (ADR 26)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from common.access.auth import Caller
from common.aggregates.precondition import UNCONDITIONAL, Precondition, entity_tag
from common.database.statements import Connection, Record
from common.errors import Problem
from common.paging import Page

from orders.domain.states import OrderStatus
from orders.repository import reading, writing
from orders.repository.reading import OrderFilter
from orders.use_cases.commands import ROLES, StateChange, change_state

# The largest number of orders of one request.
MOST_ORDERS = 500


async def select_orders(connection: Connection, caller: Caller, filters: OrderFilter) -> Page[Record]:
    """The oldest orders that match, with `id`, `status` and `version`, and how many match; of the customer for a client
    that is bound to one."""
    if caller.bound_to is not None and filters.customer_id is None:
        filters = replace(filters, customer_id=caller.bound_to)
    if filters.customer_id is not None and not caller.may_see(filters.customer_id):
        return Page((), 0)
    return await reading.select_oldest(connection, filters, MOST_ORDERS)


def changing_one(
    caller: Caller, change: StateChange, versions: Mapping[UUID, int]
) -> Callable[[Connection, UUID], Awaitable[dict[str, Any] | Problem]]:
    """The step for one order. Orders that are in `versions` must have this version still.

    Raises `Problem` FORBIDDEN when the caller may request this state of no order.
    """
    caller.require(*ROLES[change.new_state])
    may_be_known = change.new_state is OrderStatus.PAID and change.payment_transaction_id is not None

    async def change_one(connection: Connection, order_id: UUID) -> dict[str, Any] | Problem:
        known_version = None
        if may_be_known:  # only a payment that is reported again leaves its order as it was
            locked = await writing.lock(connection, order_id, caller.bound_to)
            known_version = None if locked is None else locked.value.version
        order = await change_state(connection, caller, order_id, change, _unchanged_since(versions.get(order_id)))
        if isinstance(order, Problem):
            return order
        outcome = "unchanged" if order.version == known_version else "changed"
        return {"outcome": outcome, "status": order.status, "version": order.version}

    return change_one


def _unchanged_since(version: int | None) -> Precondition:
    return UNCONDITIONAL if version is None else Precondition(matching=frozenset({entity_tag(version)}))
