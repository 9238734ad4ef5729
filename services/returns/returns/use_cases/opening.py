"""Open a return: is the order delivered, in time, and never returned before, as far as its events have told?"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from common.access.auth import Caller
from common.audit.trail import AuditEntry
from common.database.statements import Connection
from common.errors import Code, Problem, not_found

from returns import events
from returns.domain import Ineligibility, KnownOrder, Return, ineligibility
from returns.repository import known_orders, writing
from returns.repository.known_orders import Consideration
from returns.repository.writing import AlreadyReturned
from returns.tables import ENTITY
from returns.use_cases.visibility import may_see


@dataclass(frozen=True, slots=True)
class NewReturn:
    """What a customer asks for."""

    order_id: UUID
    reason: str
    customer_notes: str | None = None


class NotDeliveredYet(Exception):
    """The copy knows no such order, or not that it is delivered; it may only be behind. Nothing is refused by it:
    wait without a connection, and ask again with the time at which the request arrived."""

    def __init__(self, arrived_at: datetime) -> None:
        super().__init__(f"at {arrived_at}")
        self.arrived_at = arrived_at


_MESSAGES = {
    Ineligibility.ALREADY_RETURNED: "There is a return of this order already; an order can be returned once.",
    Ineligibility.NOT_DELIVERED: "An order can be returned once it is delivered.",
    Ineligibility.WINDOW_EXPIRED: "The time within which the order could be returned is over.",
}


async def open_return(
    connection: Connection, caller: Caller, new: NewReturn, *, window_days: int, waited_since: datetime | None = None
) -> Return:
    """Raises `Problem` NOT_FOUND or RETURN_NOT_ALLOWED.

    At the first attempt, raises `NotDeliveredYet` instead of a refusal that more news could turn into a yes; and at
    the second, with its `arrived_at` as `waited_since`, `Problem` UNAVAILABLE unless it is certain that there was none.
    """
    # Before the order itself is read, so that what is caught up by now is in what is read then.
    is_current = waited_since is not None and await _is_caught_up(connection, new.order_id, waited_since)
    seen = await known_orders.consider(connection, new.order_id)
    order = seen.order if seen.order is not None and may_see(caller, seen.order.customer_id) else None
    if not is_current and _may_only_be_behind(order, seen):
        if waited_since is None:
            raise NotDeliveredYet(seen.now)
        raise Problem(Code.UNAVAILABLE, "News of orders comes late at the moment; please try again.", retry_after=1)
    if order is None:
        raise not_found("order", new.order_id)
    obstacle = ineligibility(
        order,
        already_returned=seen.already_returned,
        requested_at=waited_since or seen.now,
        window=timedelta(days=window_days),
    )
    if obstacle is not None:
        raise _refusal(obstacle, order, window_days)
    opened = Return.open(order, seen.return_id, seen.now, reason=new.reason, customer_notes=new.customer_notes)
    try:
        await writing.add(connection, opened, _entry(opened, caller), events.new_event(opened, 1, caller.actor))
    except AlreadyReturned:
        raise _refusal(Ineligibility.ALREADY_RETURNED, order, window_days) from None
    return opened


def _may_only_be_behind(order: KnownOrder | None, seen: Consideration) -> bool:
    return order is None or (order.may_yet_be_delivered and not seen.already_returned)


async def _is_caught_up(connection: Connection, order_id: UUID, since: datetime) -> bool:
    """Whether all that was told of the order before `since` is in the copy."""
    caught_up_at = await known_orders.caught_up_at(connection, order_id)
    return caught_up_at is not None and caught_up_at >= since


def _refusal(obstacle: Ineligibility, order: KnownOrder, window_days: int) -> Problem:
    details: dict[str, object] = {"reason": obstacle, "order_status": order.status}
    if obstacle is Ineligibility.WINDOW_EXPIRED:
        details |= {"delivered_at": order.delivered_at, "window_days": window_days}
    return Problem(Code.RETURN_NOT_ALLOWED, _MESSAGES[obstacle], details)


def _entry(opened: Return, caller: Caller) -> AuditEntry:
    details = {
        "order_id": opened.order_id,
        "reason": opened.reason,
        "customer_notes": opened.customer_notes,
        "refund_amount": opened.refund_amount,
        "currency": opened.currency,
    }
    given = {name: value for name, value in details.items() if value is not None}
    return AuditEntry(ENTITY, opened.id, None, opened.status, "ACCEPTED", caller.actor, opened.created_at, given)
