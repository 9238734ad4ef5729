"""Commands on orders: place one, change its state, cancel it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from common.access.auth import Caller, Role
from common.aggregates.precondition import UNCONDITIONAL, Precondition
from common.database.statements import Connection
from common.errors import Problem

from orders import events
from orders.domain.new_order import NewOrder
from orders.domain.order import Order
from orders.domain.pricing import InvalidTotal
from orders.domain.states import OrderStatus, TransitionRefused
from orders.repository import writing
from orders.repository.writing import ExternalIdTaken
from orders.use_cases.payments import Report, exact_amount, is_known, require_own_id, settle_refused_payment
from orders.use_cases.references import external_id_taken

# Who may request a transition to a state, in addition to ops.
ROLES: Mapping[OrderStatus, tuple[Role, ...]] = {
    OrderStatus.PENDING_PAYMENT: (),
    OrderStatus.PAID: (Role.PAYMENTS, Role.MANAGER),
    OrderStatus.PROCESSING_IN_WAREHOUSE: (Role.WAREHOUSE, Role.MANAGER),
    OrderStatus.SHIPPED: (Role.WAREHOUSE, Role.MANAGER),
    OrderStatus.DELIVERED: (Role.WAREHOUSE, Role.MANAGER),
    OrderStatus.CANCELLED: (Role.CLIENT, Role.MANAGER),
}
# Of a new order, for its audit row.
_DETAILS = ("order_number", "total_amount", "currency", "external_id", "metadata")


@dataclass(frozen=True, slots=True)
class StateChange:
    """A requested state and its details; an empty reason is none."""

    new_state: OrderStatus
    reason: str = ""
    payment_transaction_id: str | None = None
    tracking_number: str | None = None
    carrier: str | None = None
    amount: Decimal | None = None

    def apply(self, order: Order, now: datetime) -> Order:
        """Raises `TransitionRefused`."""
        match self.new_state:
            case OrderStatus.PAID:
                return order.pay(now, self.payment_transaction_id, self.amount)
            case OrderStatus.PROCESSING_IN_WAREHOUSE:
                return order.start_processing(now)
            case OrderStatus.SHIPPED:
                return order.ship(now, self.tracking_number, self.carrier)
            case OrderStatus.DELIVERED:
                return order.deliver(now)
            case OrderStatus.CANCELLED:
                return order.cancel(now, self.reason)
            case OrderStatus.PENDING_PAYMENT:  # no command leads back to it
                raise TransitionRefused(order.status, self.new_state)

    @property
    def details(self) -> dict[str, object]:
        """What was given in addition to the state."""
        return {name: value for name in self.__slots__ if name != "new_state" and (value := getattr(self, name))}


async def place_order(connection: Connection, caller: Caller, new: NewOrder) -> Order:
    """Raises `Problem` VALIDATION_ERROR for an impossible total, FORBIDDEN when placed for another customer, CONFLICT
    for an external id that another order has."""
    order_id, number, now = await writing.new_placement(connection)
    try:
        owner = caller.owner_of_external_id(new.customer_id)
        order = Order.place(new, order_id, f"ORD-{now.year}-{number:06d}", now, owner)
    except InvalidTotal as error:
        raise Problem.invalid("line_items", str(error)) from error
    if not caller.may_see(order.customer_id):
        raise caller.forbidden()
    details = {name: value for name in _DETAILS if (value := getattr(order, name))}
    event = events.new_event(events.CREATED, order, caller.actor)
    try:
        await writing.add(connection, order, caller.actor, details, event, writing.new_lines(order.lines))
    except ExternalIdTaken as error:
        raise external_id_taken(order.external_id or "", owner) from error
    return order


async def change_state(
    connection: Connection,
    caller: Caller,
    order_id: UUID,
    change: StateChange,
    precondition: Precondition = UNCONDITIONAL,
) -> Order | Problem:
    """The changed order, or the audited refusal. Raises `Problem` NOT_FOUND, then FORBIDDEN, then PRECONDITION_FAILED,
    then VALIDATION_ERROR for an amount that the currency does not have, or for an id that no provider gave.

    A payment that is reported again by its id is not refused: the result is the unchanged order (ADR 16).
    """
    locked = await writing.lock(connection, order_id, caller.bound_to)
    if locked is None:
        raise Problem.not_found("order", order_id)
    caller.require(*ROLES[change.new_state])
    precondition.check(locked.value.version)
    reported = Report(change.payment_transaction_id, exact_amount(change.amount, locked.value))
    if await is_known(connection, locked.value, reported):
        return locked.value
    require_own_id(reported, locked.value)
    try:
        changed = change.apply(locked.value, locked.now)
    except TransitionRefused as refusal:
        if change.new_state is OrderStatus.PAID:
            return await settle_refused_payment(connection, caller.actor, locked, reported, change.details)
        await writing.refuse(connection, locked, change.new_state, caller.actor, change.details)
        return Problem.invalid_transition(refusal.current, refusal.requested, list(refusal.allowed))
    event = events.new_event(events.OF_STATUS[changed.status], changed, caller.actor)
    payments = changed.payments[-1:] if changed.status is OrderStatus.PAID else ()
    writes = map(writing.reported_payment, payments)
    await writing.save(connection, locked, changed, caller.actor, change.details, event, *writes)
    return changed


async def cancel_order(
    connection: Connection,
    caller: Caller,
    order_id: UUID,
    reason: str,
    precondition: Precondition = UNCONDITIONAL,
) -> Order | Problem:
    """As `change_state`; the payment of a paid order is refunded."""
    return await change_state(connection, caller, order_id, StateChange(OrderStatus.CANCELLED, reason), precondition)
