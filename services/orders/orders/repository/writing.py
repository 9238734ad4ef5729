"""Changing orders: lock one, then write all that a step changes in one statement (ADR 2)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg
from common.aggregates.changes import Locked, Write
from common.aggregates.store import AggregateStore
from common.audit.actor import Actor
from common.database.statements import Connection, prepare
from common.messaging.outgoing.outbox import NewEvent
from sqlalchemy import ARRAY, Text, UpdateBase, Uuid, bindparam, exists, func, insert, literal, or_, select, update

from orders.domain.order import LISTED_PAYMENTS, Order
from orders.domain.payment import Payment, PaymentKind
from orders.domain.pricing import OrderLine
from orders.repository.rows import ORDERS, payment_columns, to_payment
from orders.tables import EXTERNAL_ID_INDEX, order_lines, order_numbers, orders, payments

# The version before the wait for the lock. If the order has another one now, it may also have other payments, which a
# sub-select of the same statement cannot see.
_seen = orders.alias("seen")
_seen_version = select(_seen.c.version).where(_seen.c.id == ORDERS.the_id).scalar_subquery().label("seen_version")
_STORE = AggregateStore(ORDERS, lock_columns=[_seen_version])
_PLACEMENT = prepare(select(func.uuidv7(), order_numbers.next_value(), func.clock_timestamp()))
_ORDER_ID = bindparam("order_id", type_=Uuid)
_REFERENCE = bindparam("reference", type_=Text)
_HAS_PAYMENT = prepare(
    select(
        exists().where(
            payments.c.order_id == _ORDER_ID,
            or_(payments.c.reference == _REFERENCE, payments.c.first_reference == _REFERENCE),
        )
    )
)
_PAYMENTS = prepare(
    select(*payment_columns)
    .where(payments.c.order_id == _ORDER_ID)
    .order_by(payments.c.reported_at, payments.c.reference)
    .limit(literal(LISTED_PAYMENTS, literal_execute=True))
)


def _insert_lines() -> UpdateBase:
    names = [column.name for column in order_lines.c if column.name not in {"order_id", "position"}]
    arrays = [bindparam(f"line_{name}", type_=ARRAY(order_lines.c[name].type)) for name in names]
    lines = func.unnest(*arrays).table_valued(*names, with_ordinality="position").render_derived()
    return insert(order_lines).from_select(
        ["order_id", "position", *names], select(ORDERS.the_id, lines.c.position, *(lines.c[name] for name in names))
    )


_LINES = _insert_lines()
_PAYMENT_VALUES = ("reference", "amount", "late", "surplus", "mismatched", "reported_at")
_REPORTED_PAYMENT = insert(payments).values(
    order_id=ORDERS.the_id,
    **{name: bindparam(f"payment_{name}") for name in _PAYMENT_VALUES},
)
_IDENTIFIED_PAYMENT = (
    update(payments)
    .where(payments.c.order_id == ORDERS.the_id, payments.c.reference == bindparam("first_reference", type_=Text))
    .values(reference=bindparam("payment_reference"), first_reference=bindparam("first_reference"))
)

save = _STORE.save
refuse = _STORE.refuse
save_unaudited = _STORE.save_unaudited


class ExternalIdTaken(Exception):
    """Another order of the owner has the external id; this transaction is aborted."""


async def new_placement(connection: Connection) -> tuple[UUID, int, datetime]:
    """What the database gives to a new order: a time-ordered id, a number and the time."""
    [(order_id, number, now)] = await _PLACEMENT.fetch_all(connection)
    return order_id, number, now


async def add(
    connection: Connection, order: Order, actor: Actor, details: Mapping[str, object], event: NewEvent, *writes: Write
) -> None:
    """A new order with its audit row and event. Raises `ExternalIdTaken`."""
    try:
        await _STORE.add(connection, order, actor, details, event, *writes)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != EXTERNAL_ID_INDEX:
            raise
        raise ExternalIdTaken from error


async def amend(
    connection: Connection, locked: Locked[Order], changed: Order, actor: Actor, details: Mapping[str, object]
) -> None:
    """Write the references of an order, with an audit row. Raises `ExternalIdTaken`."""
    try:
        await _STORE.amend(connection, locked, changed, actor, details)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != EXTERNAL_ID_INDEX:
            raise
        raise ExternalIdTaken from error


def new_lines(lines: tuple[OrderLine, ...]) -> Write:
    """One array per column, for `unnest`."""
    return Write(_LINES, {f"line_{name}": [getattr(line, name) for line in lines] for name in OrderLine.__slots__})


def reported_payment(payment: Payment) -> Write:
    values = {
        "payment_reference": payment.reference,
        "payment_amount": payment.amount,
        "payment_late": payment.kind is PaymentKind.LATE,
        "payment_surplus": payment.kind is PaymentKind.SURPLUS,
        "payment_mismatched": payment.kind is PaymentKind.MISMATCHED,
        "payment_reported_at": payment.reported_at,
    }
    return Write(_REPORTED_PAYMENT, values)


def identified_payment(payment: Payment) -> Write:
    values = {"payment_reference": payment.reference, "first_reference": payment.first_reference}
    return Write(_IDENTIFIED_PAYMENT, values)


async def lock(connection: Connection, order_id: UUID, visible_to: UUID | None = None) -> Locked[Order] | None:
    """The order as it is once nobody else changes it; None if there is none that this customer may see."""
    locked = await _STORE.lock(connection, order_id, visible_to)
    if locked is None or locked.value.version == locked.row["seen_version"]:
        return locked
    order = locked.value
    current = await _PAYMENTS.fetch_all(connection, order_id=order_id)
    return replace(locked, value=replace(order, payments=tuple(to_payment(each, order.currency) for each in current)))


async def has_payment(connection: Connection, order_id: UUID, reference: str) -> bool:
    """Whether this payment was reported before; correct only under the order's lock."""
    known: bool = await _HAS_PAYMENT.fetch_value(connection, order_id=order_id, reference=reference)
    return known
