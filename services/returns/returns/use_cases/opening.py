"""Opening a return of an order that is delivered, within the window, and was never returned before."""

from datetime import datetime, timedelta
from functools import partial
from typing import NotRequired

from common.access.auth import Caller
from common.database.statements import Connection
from common.errors import ErrorCode, Problem
from common.jobs import queue
from common.messaging.incoming.consumer_positions import is_caught_up
from typing_extensions import TypedDict

from returns import events
from returns.domain.eligibility import Ineligibility, KnownOrder, ineligibility
from returns.domain.return_ import NewReturn, Return
from returns.domain.review import ReviewPolicy
from returns.repository import orders, writing
from returns.repository.orders import Consideration
from returns.repository.writing import AlreadyReturned, ExternalIdTaken
from returns.use_cases.jobs import review_jobs
from returns.use_cases.references import external_id_taken, name_first_return


class NotDeliveredYet(Exception):
    """The copy does not have the order, or not as delivered, but may only be behind: not a refusal.

    The caller waits without a database connection, and then tries again with the time at which the request arrived.
    """

    def __init__(self, arrived_at: datetime) -> None:
        super().__init__(f"at {arrived_at}")
        self.arrived_at = arrived_at


class ReturnNotAllowedDetails(TypedDict):
    """`delivered_at` and `window_days` come with `window_expired`."""

    reason: Ineligibility
    order_status: str
    delivered_at: NotRequired[datetime]
    window_days: NotRequired[int]


RETURN_NOT_ALLOWED = ErrorCode("RETURN_NOT_ALLOWED", 409, ReturnNotAllowedDetails)
_MESSAGES = {
    Ineligibility.ALREADY_RETURNED: "There is a return of this order already; an order can be returned once.",
    Ineligibility.NOT_DELIVERED: "An order can be returned once it is delivered.",
    Ineligibility.WINDOW_EXPIRED: "The time within which the order could be returned is over.",
}


async def open_return(
    connection: Connection,
    caller: Caller,
    new: NewReturn,
    window_days: int,
    review: ReviewPolicy,
    waited_since: datetime | None = None,
) -> Return:
    """Raises `Problem` NOT_FOUND or RETURN_NOT_ALLOWED, CONFLICT for an external id that another return has.

    The first attempt raises `NotDeliveredYet` where a later event could allow the return. The second one, with the
    exception's `arrived_at` as `waited_since`, then raises `Problem` UNAVAILABLE unless the copy has caught up.

    The steps of a late review are scheduled in the same transaction.
    """
    # Before the order is read, so that the order that is read is at least as new.
    is_current = waited_since is not None and await is_caught_up(
        connection, events.ORDERS_TOPIC, str(new.order_id), since=waited_since
    )
    seen = await orders.consider(connection, new.order_id)
    order = seen.order if seen.order is not None and caller.may_see(seen.order.customer_id) else None
    if not is_current and _may_only_be_behind(order, seen):
        if waited_since is None:
            raise NotDeliveredYet(seen.now)
        raise Problem.unavailable("The events of orders are delayed at the moment; please try again.")
    if order is None:
        raise Problem.not_found("order", new.order_id)
    obstacle = ineligibility(
        order,
        already_returned=seen.already_returned,
        requested_at=waited_since or seen.now,
        window=timedelta(days=window_days),
    )
    if obstacle is not None:
        raise _refusal(obstacle, order, window_days, new, caller)
    owner = caller.owner_of_external_id(order.customer_id)
    opened = Return.open(order, new, seen.return_id, seen.now, owner, caller.id)
    try:
        event = events.new_event(events.OF_STATUS[opened.status], opened, caller.actor)
        await writing.add(connection, opened, caller.actor, _details(opened), event)
    except AlreadyReturned:
        raise _refusal(Ineligibility.ALREADY_RETURNED, order, window_days, new, caller) from None
    except ExternalIdTaken:
        raise external_id_taken(opened.external_id or "", owner) from None
    await queue.enqueue(connection, *review_jobs(opened.id, review, caller.actor))
    return opened


def _may_only_be_behind(order: KnownOrder | None, seen: Consideration) -> bool:
    return order is None or (order.may_yet_be_delivered and not seen.already_returned)


def _refusal(obstacle: Ineligibility, order: KnownOrder, window_days: int, new: NewReturn, caller: Caller) -> Problem:
    details: dict[str, object] = {"reason": obstacle, "order_status": order.status}
    if obstacle is Ineligibility.WINDOW_EXPIRED:
        details |= {"delivered_at": order.delivered_at, "window_days": window_days}
    first_return = None
    if obstacle is Ineligibility.ALREADY_RETURNED and new.external_id is not None:
        # The request may be a repeat, whose first answer was lost.
        owner = caller.owner_of_external_id(order.customer_id)
        first_return = partial(name_first_return, new.external_id, owner)
    return Problem(RETURN_NOT_ALLOWED, _MESSAGES[obstacle], details, after_rollback=first_return)


def _details(opened: Return) -> dict[str, object]:
    names = ("order_id", "reason", "customer_notes", "refund_amount", "currency", "external_id", "metadata")
    return {name: value for name in names if (value := getattr(opened, name)) not in (None, {})}
