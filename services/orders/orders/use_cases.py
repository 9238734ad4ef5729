"""What can be done with orders: one function per command or query, inside the caller's transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from common.access.auth import Caller, Role, forbidden, require
from common.audit.trail import Actor, AuditEntry, HistoryPage, HistoryWanted, Outcome, find_history
from common.database.statements import Connection, Record
from common.errors import Problem, invalid_transition, not_found, validation_error
from common.messaging.envelope import ReceivedEvent
from prometheus_client import Counter

from orders import events
from orders.domain import (
    ALLOWED_TRANSITIONS,
    LISTED_PAYMENTS,
    InvalidTotal,
    NewOrder,
    Order,
    OrderStatus,
    RefundStatus,
    TransitionRefused,
)
from orders.events import InvoiceView, RefundView
from orders.repository import reading, results, writing
from orders.repository.reading import OrderFilter, Page
from orders.repository.writing import LockedOrder

ENTITY = "ORDER"

_unexpected_payments = Counter(
    "unexpected_payments_total", "Payments that no state waited for, which are paid back, by kind.", ["kind"]
)

# Who may bring an order into a state; ops may do everything.
ROLES: Mapping[OrderStatus, tuple[Role, ...]] = {
    OrderStatus.PENDING_PAYMENT: (),
    OrderStatus.PAID: (Role.PAYMENTS, Role.MANAGER),
    OrderStatus.PROCESSING_IN_WAREHOUSE: (Role.WAREHOUSE, Role.MANAGER),
    OrderStatus.SHIPPED: (Role.WAREHOUSE, Role.MANAGER),
    OrderStatus.DELIVERED: (Role.WAREHOUSE, Role.MANAGER),
    OrderStatus.CANCELLED: (Role.CLIENT, Role.MANAGER),
}


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state that is asked for, and what goes with it; an empty reason is none."""

    new_state: OrderStatus
    reason: str = ""
    payment_transaction_id: str | None = None
    tracking_number: str | None = None
    carrier: str | None = None

    def apply(self, order: Order, now: datetime) -> Order:
        """Raises `TransitionRefused`."""
        match self.new_state:
            case OrderStatus.PAID:
                return order.pay(now, self.payment_transaction_id)
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
    def details(self) -> dict[str, Any]:
        given = {
            "reason": self.reason,
            "payment_transaction_id": self.payment_transaction_id,
            "tracking_number": self.tracking_number,
            "carrier": self.carrier,
        }
        return {name: value for name, value in given.items() if value}


async def place_order(connection: Connection, caller: Caller, new: NewOrder) -> Order:
    """Raises `Problem` VALIDATION_ERROR for an impossible total, FORBIDDEN when placed for another customer."""
    placement = await writing.new_placement(connection)
    number = f"ORD-{placement.now.year}-{placement.number:06d}"
    try:
        order = Order.place(new, placement.order_id, number, placement.now)
    except InvalidTotal as error:
        raise validation_error("line_items", str(error)) from error
    if not _may_see(caller, order.customer.id):
        raise forbidden(caller.role)
    entry = AuditEntry(
        ENTITY,
        order.id,
        None,
        order.status,
        "ACCEPTED",
        caller.actor,
        order.created_at,
        {"order_number": order.number, "total_amount": order.total_amount, "currency": order.currency},
    )
    await writing.add(connection, order, entry, events.new_event(events.CREATED, order, 1, caller.actor))
    return order


async def change_state(connection: Connection, caller: Caller, order_id: UUID, change: StateChange) -> Order | Problem:
    """The changed order, or the audited refusal. Raises `Problem` NOT_FOUND and then FORBIDDEN.

    A payment that is reported again, by its id, is no refusal: the answer is the order as it is (ADR 16).
    """
    locked = await writing.lock(connection, order_id, _bound_to(caller))
    if locked is None:
        raise not_found("order", order_id)
    require(caller, *ROLES[change.new_state])
    try:
        changed = change.apply(locked.order, locked.now)
    except TransitionRefused as refusal:
        if change.new_state is OrderStatus.PAID:
            settled = await _settle_refused_payment(connection, caller.actor, locked, change)
            if settled is not None:
                return settled
        else:
            await writing.save_refusal(connection, locked, _entry(locked, change, caller.actor, "REFUSED"))
        return invalid_transition(refusal.current, refusal.requested, list(refusal.allowed))
    await writing.save(
        connection,
        locked,
        changed,
        _entry(locked, change, caller.actor, "ACCEPTED"),
        events.new_event(events.OF_STATUS[changed.status], changed, locked.sequence + 1, caller.actor),
        changed.payments[-1] if changed.status is OrderStatus.PAID else None,
    )
    return changed


async def cancel_order(connection: Connection, caller: Caller, order_id: UUID, reason: str) -> Order | Problem:
    """As `change_state`; what was paid for the order is paid back."""
    return await change_state(connection, caller, order_id, StateChange(OrderStatus.CANCELLED, reason))


async def _settle_refused_payment(
    connection: Connection, actor: Actor, locked: LockedOrder, change: StateChange
) -> Order | None:
    """The order, if it knows the reported payment; None once the refusal is recorded, with the payment if it is new.

    A report without an id says nothing that a paid order does not know: only an order without payments learns of one.
    """
    order, transaction_id = locked.order, change.payment_transaction_id
    if transaction_id is not None:
        if await _knows_payment(connection, order, transaction_id):
            return order
        if order.has_unidentified_payment:
            return await _identify_payment(connection, actor, locked, transaction_id)
    entry = _entry(locked, change, actor, "REFUSED")
    if transaction_id is None and order.payments:
        await writing.save_refusal(connection, locked, entry)
        return None
    recorded = order.record_payment(locked.now, transaction_id)
    payment = recorded.payments[-1]
    about = {f"{payment.kind.lower()}_payment": {"reference": payment.reference, "amount": payment.amount}}
    event = events.new_event(events.OF_UNEXPECTED_PAYMENT[payment.kind], recorded, locked.sequence + 1, actor, payment)
    await writing.save_unexpected_payment(
        connection, locked, recorded, replace(entry, details={**change.details, **about}), event, payment
    )
    _unexpected_payments.labels(payment.kind.lower()).inc()
    return None


async def _knows_payment(connection: Connection, order: Order, transaction_id: str) -> bool:
    if order.knows_payment(transaction_id):
        return True
    all_are_listed = len(order.payments) < LISTED_PAYMENTS
    return not all_are_listed and await writing.has_payment(connection, order.id, transaction_id)


async def _identify_payment(connection: Connection, actor: Actor, locked: LockedOrder, transaction_id: str) -> Order:
    """The id of the payment that was reported without one. What is owed or paid back by its first reference may have
    been told already, and no transition follows that would tell the id: then an event of its own does."""
    identified = locked.order.identify_payment(locked.now, transaction_id)
    [payment] = identified.payments
    is_final = not ALLOWED_TRANSITIONS[identified.status]
    must_be_told = is_final and payment.refund_status is not RefundStatus.SUCCEEDED
    event = (
        events.new_event(events.PAYMENT_IDENTIFIED, identified, locked.sequence + 1, actor, payment)
        if must_be_told
        else None
    )
    await writing.save_identified_payment(connection, locked, identified, payment, event)
    return identified


def _entry(locked: LockedOrder, change: StateChange, actor: Actor, outcome: Outcome) -> AuditEntry:
    order = locked.order
    return AuditEntry(ENTITY, order.id, order.status, change.new_state, outcome, actor, locked.now, change.details)


async def get_order(connection: Connection, caller: Caller, order_id: UUID) -> Order:
    order = await reading.find(connection, order_id, _bound_to(caller))
    if order is None:
        raise not_found("order", order_id)
    return order


async def list_orders(connection: Connection, caller: Caller, wanted: OrderFilter, *, limit: int, offset: int) -> Page:
    """Newest first; of a client that is bound to a customer, only that customer's."""
    if _bound_to(caller) is not None and wanted.customer_id is None:
        wanted = replace(wanted, customer_id=_bound_to(caller))
    if wanted.customer_id is not None and not _may_see(caller, wanted.customer_id):
        return Page((), 0)
    return await reading.find_page(connection, wanted, limit=limit, offset=offset)


async def count_orders(connection: Connection) -> dict[str, Any]:
    """For the JSON metrics, in their shape."""
    by_status = await reading.count_by_status(connection)
    return {"orders": {"total": sum(by_status.values()), "by_status": by_status}}


async def get_history(connection: Connection, caller: Caller, order_id: UUID, wanted: HistoryWanted) -> HistoryPage:
    await _check_visible(connection, caller, order_id)
    return await find_history(connection, ENTITY, order_id, wanted)


async def get_invoice(connection: Connection, caller: Caller, order_id: UUID) -> Record:
    """Raises `Problem` NOT_FOUND for the order, and for its invoice until it is issued."""
    await _check_visible(connection, caller, order_id)
    invoice = await reading.find_invoice(connection, order_id)
    if invoice is None:
        raise not_found("invoice of order", order_id)
    return invoice


async def record_refund_result(connection: Connection, refund: RefundView, event: ReceivedEvent) -> None:
    """Note at its payment, and at a cancelled order, what became of money that was owed back.

    An older result than the known one changes nothing.

    Raises `LookupError` for an order or payment that nobody reported here.
    """
    locked = await writing.lock(connection, refund.order_id)
    if locked is None:
        raise LookupError(f"a refund for the unknown order {refund.order_id}")
    if await results.settle_refund(connection, refund, event):
        payments = await results.find_payments(connection, locked.order)
        await results.save_recorded(connection, locked.order.record_refunds(locked.now, payments))
    elif not await writing.has_payment(connection, refund.order_id, refund.payment_reference):
        raise LookupError(f"a refund of a payment that order {refund.order_id} does not know")


async def record_invoices(connection: Connection, issued: Iterable[tuple[InvoiceView, ReceivedEvent]]) -> None:
    """Note where the invoices of shipped orders are."""
    await results.keep_invoices(connection, issued)


async def _check_visible(connection: Connection, caller: Caller, order_id: UUID) -> None:
    if not await reading.is_visible(connection, order_id, _bound_to(caller)):
        raise not_found("order", order_id)


def _bound_to(caller: Caller) -> UUID | None:
    return caller.customer_id if caller.role is Role.CLIENT else None


def _may_see(caller: Caller, customer_id: UUID) -> bool:
    """Another customer's order is as good as none."""
    return _bound_to(caller) in (None, customer_id)
