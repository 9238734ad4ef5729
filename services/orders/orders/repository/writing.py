"""The hot path: lock an order, then write all that a step changes in one statement (ADR 0002)."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from common.audit import trail
from common.audit.trail import AuditEntry, ChainHead
from common.database.statements import Connection, prepare, prepare_together
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from sqlalchemy import (
    ARRAY,
    BindParameter,
    Text,
    UpdateBase,
    Uuid,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from orders.domain import LISTED_PAYMENTS, Order, Payment, PaymentKind
from orders.repository.rows import (
    CHANGING,
    all_values,
    changing_values,
    line_columns,
    order_columns,
    payment_columns,
    the_order,
    the_visible_order,
    to_order,
    to_payment,
)
from orders.tables import order_counts, order_lines, order_numbers, orders, payments


@dataclass(frozen=True, slots=True)
class LockedOrder:
    """An order that nobody else can change until the transaction ends, and the database's time."""

    order: Order
    now: datetime
    sequence: int
    audit_head: ChainHead


@dataclass(frozen=True, slots=True)
class Placement:
    """What a new order gets from the database: a time-ordered id, a number and the time."""

    order_id: UUID
    number: int
    now: datetime


# Not now(), which is the transaction's beginning: whoever waited for the lock would write a time before the winner's.
_now = func.greatest(func.clock_timestamp(), orders.c.updated_at).label("now")
# What the statement saw before it waited for the lock: if the order has another version by now, then perhaps also other
# payments, which a sub-select of the same statement cannot see.
_seen = orders.alias("seen")
_seen_version = (
    select(_seen.c.version)
    .where(_seen.c.id == bindparam("order_id", type_=Uuid))
    .scalar_subquery()
    .label("seen_version")
)
_tracked = (_now, orders.c.sequence, orders.c.audit_position, orders.c.audit_hash, _seen_version)
_LOCK = prepare(select(*order_columns, *_tracked).where(the_visible_order).with_for_update(of=orders))
_PLACEMENT = prepare(select(func.uuidv7(), order_numbers.next_value(), func.clock_timestamp()))
_REFERENCE = bindparam("reference", type_=Text)
_HAS_PAYMENT = prepare(
    select(
        exists().where(
            payments.c.order_id == bindparam("order_id", type_=Uuid),
            or_(payments.c.reference == _REFERENCE, payments.c.first_reference == _REFERENCE),
        )
    )
)
_PAYMENTS = prepare(
    select(*payment_columns)
    .where(payments.c.order_id == bindparam("order_id", type_=Uuid))
    .order_by(payments.c.reported_at, payments.c.reference)
    .limit(literal(LISTED_PAYMENTS, literal_execute=True))
)


def _parameters(*names: str) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(name) for name in names}


def _insert_lines() -> UpdateBase:
    names = [column.name for column in order_lines.c if column.name not in {"order_id", "position"}]
    arrays = [bindparam(f"line_{name}", type_=ARRAY(order_lines.c[name].type)) for name in names]
    lines = func.unnest(*arrays).table_valued(*names, with_ordinality="position").render_derived()
    return insert(order_lines).from_select(
        ["order_id", "position", *names],
        select(bindparam("id", type_=Uuid), lines.c.position, *(lines.c[name] for name in names)),
    )


# The parameters of the audit row (`audit_position`, `audit_hash`) are at the same time the order's new chain head.
_HEAD = ("audit_position", "audit_hash")
_ordered = insert(orders).values(_parameters(*(column.name for column in orders.c)))
_changed = update(orders).where(the_order).values(_parameters(*CHANGING, "sequence", *_HEAD))
_head_moved = update(orders).where(the_order).values(_parameters(*_HEAD))
_audited = (trail.insert_audit(), trail.insert_audit_details())
_paid = insert(payments).values(
    order_id=bindparam("order_id"),
    reference=bindparam("payment_reference"),
    amount=bindparam("payment_amount"),
    late=bindparam("payment_late"),
    surplus=bindparam("payment_surplus"),
    reported_at=bindparam("payment_reported_at"),
)
_identified = (
    update(payments)
    .where(
        payments.c.order_id == bindparam("order_id", type_=Uuid),
        payments.c.reference == bindparam("first_reference", type_=Text),
    )
    .values(reference=bindparam("payment_reference"), first_reference=bindparam("first_reference"))
)
_noted = update(orders).where(the_order).values(_parameters(*CHANGING, "sequence"))
_ADD = prepare_together(_ordered, _insert_lines(), *_audited, order_counts.arrival(), outbox.insert_event())
_SAVE = prepare_together(_changed, *_audited, order_counts.transition(), outbox.insert_event())
_SAVE_PAID = prepare_together(_changed, *_audited, order_counts.transition(), _paid, outbox.insert_event())
_SAVE_UNEXPECTED_PAYMENT = prepare_together(_changed, *_audited, _paid, outbox.insert_event())
_SAVE_IDENTIFIED = prepare_together(_noted, _identified)
_SAVE_IDENTIFIED_AND_TELL = prepare_together(_noted, _identified, outbox.insert_event())
_REFUSE = prepare_together(_head_moved, *_audited)


async def new_placement(connection: Connection) -> Placement:
    row = await _PLACEMENT.fetch_one(connection)
    assert row is not None  # noqa: S101 - a select without FROM has one row
    return Placement(*row)


async def lock(connection: Connection, order_id: UUID, visible_to: UUID | None = None) -> LockedOrder | None:
    """The order as it is once nobody else changes it; None when there is none that this customer may see."""
    row = await _LOCK.fetch_one(connection, order_id=order_id, visible_to=visible_to)
    if row is None:
        return None
    order = to_order(row)
    if order.version != row["seen_version"]:
        order = replace(order, payments=await _find_payments(connection, order))
    return LockedOrder(order, row["now"], row["sequence"], ChainHead(row["audit_position"], row["audit_hash"]))


async def add(connection: Connection, order: Order, entry: AuditEntry, event: NewEvent) -> None:
    """A new order with its lines, audit row and event."""
    audited, _ = trail.audit_parameters(entry, ChainHead())
    await _ADD.execute(
        connection,
        **all_values(order),
        **line_columns(order.lines),
        **audited,
        **outbox.event_parameters(event),
        sequence=event.sequence,
    )


async def save(
    connection: Connection,
    locked: LockedOrder,
    changed: Order,
    entry: AuditEntry,
    event: NewEvent,
    payment: Payment | None = None,
) -> None:
    """A transition with its audit row and event; `payment` is the one that made the order paid."""
    statement = _SAVE if payment is None else _SAVE_PAID
    await statement.execute(connection, **_change(locked, changed, entry, event), **_payment(payment))


async def save_unexpected_payment(
    connection: Connection, locked: LockedOrder, changed: Order, entry: AuditEntry, event: NewEvent, payment: Payment
) -> None:
    """The one refusal that changes its order: money that no state waited for is recorded, to be paid back."""
    await _SAVE_UNEXPECTED_PAYMENT.execute(connection, **_change(locked, changed, entry, event), **_payment(payment))


async def save_identified_payment(
    connection: Connection, locked: LockedOrder, changed: Order, payment: Payment, event: NewEvent | None
) -> None:
    """An order whose payment got its id, under which it is kept from now on; `event` where others must hear of it."""
    noted = {
        "order_id": changed.id,
        "sequence": locked.sequence if event is None else event.sequence,
        **changing_values(changed),
        "payment_reference": payment.reference,
        "first_reference": payment.first_reference,
    }
    if event is None:
        await _SAVE_IDENTIFIED.execute(connection, **noted)
    else:
        await _SAVE_IDENTIFIED_AND_TELL.execute(connection, **noted, **outbox.event_parameters(event))


async def save_refusal(connection: Connection, locked: LockedOrder, entry: AuditEntry) -> None:
    """The audit row of a refused attempt; nothing that anybody else can see of the order changes."""
    audited, _ = trail.audit_parameters(entry, locked.audit_head)
    await _REFUSE.execute(connection, order_id=locked.order.id, **audited)


async def has_payment(connection: Connection, order_id: UUID, reference: str) -> bool:
    """Whether this payment was reported before; to be asked under the order's lock."""
    known: bool = await _HAS_PAYMENT.fetch_value(connection, order_id=order_id, reference=reference)
    return known


async def _find_payments(connection: Connection, order: Order) -> tuple[Payment, ...]:
    rows = await _PAYMENTS.fetch_all(connection, order_id=order.id)
    return tuple(to_payment(row, order.currency) for row in rows)


def _change(locked: LockedOrder, changed: Order, entry: AuditEntry, event: NewEvent) -> dict[str, Any]:
    audited, _ = trail.audit_parameters(entry, locked.audit_head)
    return {
        "order_id": changed.id,
        "sequence": event.sequence,
        **changing_values(changed),
        **audited,
        **outbox.event_parameters(event),
    }


def _payment(payment: Payment | None) -> dict[str, Any]:
    if payment is None:
        return {}
    return {
        "payment_reference": payment.reference,
        "payment_amount": payment.amount,
        "payment_late": payment.kind is PaymentKind.LATE,
        "payment_surplus": payment.kind is PaymentKind.SURPLUS,
        "payment_reported_at": payment.reported_at,
    }
