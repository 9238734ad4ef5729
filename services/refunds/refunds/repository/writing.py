"""Changing refunds: open many, lock and save one, store payments' ids (ADR 12, ADR 16)."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from common.aggregates.changes import Locked, New
from common.aggregates.store import AggregateStore
from common.database.statements import Connection, prepare
from sqlalchemy import Text, Uuid, bindparam, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from refunds.domain.refund import Refund
from refunds.repository.rows import REFUNDS, identified_reference
from refunds.tables import identified_payments, refunds

_STORE = AggregateStore(REFUNDS)
_CLOCK = prepare(select(func.clock_timestamp()))
_IDENTIFY = prepare(
    insert(identified_payments)
    .values({name: bindparam(name) for name in ("order_id", "first_reference", "reference")})
    .on_conflict_do_nothing()
)
_LOCK_REFUNDS_OF_PAYMENT = prepare(
    select(refunds.c.business_key)
    .where(
        refunds.c.order_id == bindparam("order_id", type_=Uuid),
        refunds.c.payment_reference == bindparam("reference", type_=Text),
    )
    .order_by(refunds.c.created_at, refunds.c.id)
    .with_for_update()
)
# Those whose outcome is open, and those that the payment gateway was not reached for, when it answers again.
_UNSETTLED = prepare(
    select(refunds.c.business_key).where(
        refunds.c.status.in_([literal(status, literal_execute=True) for status in ("READY", "CALLING", "UNKNOWN")]),
        or_(refunds.c.status != "READY", refunds.c.unreached_since.is_not(None)),
    )
)
_IDENTIFIED = prepare(select(identified_reference).where(REFUNDS.the_row))

find_and_lock = _STORE.lock
lock = _STORE.lock_existing
save = _STORE.save


async def clock(connection: Connection) -> datetime:
    now: datetime = await _CLOCK.fetch_value(connection)
    return now


async def add(connection: Connection, new: Iterable[New[Refund]]) -> set[UUID]:
    """Store the refunds whose business keys and payments are new, each with its audit row; returns their ids.

    In the order of the keys, so that two consumers with the same requests cannot deadlock.
    """
    return await _STORE.add_missing(connection, sorted(new, key=lambda each: each.value.reference))


async def identify_payment(connection: Connection, order_id: UUID, first_reference: str, reference: str) -> list[str]:
    """Store the provider's id of a payment, for its refunds now or later; returns the business keys of those that
    exist.

    They stay locked until the transaction ends: either the permanent failure of a refund sees the id, or this caller
    sees the dead job.
    """
    await _IDENTIFY.execute(connection, order_id=order_id, first_reference=first_reference, reference=reference)
    rows = await _LOCK_REFUNDS_OF_PAYMENT.fetch_all(connection, order_id=order_id, reference=first_reference)
    return [row["business_key"] for row in rows]


async def is_identified(connection: Connection, locked: Locked[Refund]) -> bool:
    """Whether the id of its payment is known now: it may have been stored during the wait for the refund's lock."""
    return await _IDENTIFIED.fetch_value(connection, id=locked.value.id) is not None


async def unsettled(connection: Connection) -> list[str]:
    """The business keys of refunds whose outcome is open, or that wait because the payment gateway did not answer."""
    return [row["business_key"] for row in await _UNSETTLED.fetch_all(connection)]
