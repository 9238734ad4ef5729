"""Write refunds: new ones in batches, and changes of one locked refund."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.audit.chain import ChainHead
from common.audit.entries import AuditEntry, entry_parameters, insert_entry
from common.database.statements import Connection, Statement, prepare, prepare_together
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from sqlalchemy import ARRAY, Boolean, Text, Uuid, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from refunds.domain import Refund
from refunds.repository.rows import (
    CHANGING,
    HEAD,
    all_values,
    changing_values,
    identified_reference,
    refund_columns,
    to_refund,
)
from refunds.tables import identified_payments, refund_counts, refunds


@dataclass(frozen=True, slots=True)
class LockedRefund:
    """A refund that nobody else can change until the transaction ends, and the database's time."""

    refund: Refund
    now: datetime
    audit_head: ChainHead


_THE_REFUND = refunds.c.id == bindparam("refund_id", type_=Uuid)


def _insert_new() -> Statement:
    """Many rows as one array per column; those whose business key or payment exists
    already are left out of the answer."""
    names = refunds.c.keys()
    arrays = [bindparam(name, type_=ARRAY(refunds.c[name].type)) for name in names]
    given = func.unnest(*arrays).table_valued(*names).render_derived()
    insertion = insert(refunds).from_select(names, select(given))
    return prepare(insertion.on_conflict_do_nothing().returning(refunds.c.id))


_CLOCK = prepare(select(func.clock_timestamp()))
_INSERT_NEW = _insert_new()
_COUNT_AND_AUDIT = prepare_together(refund_counts.arrival(), *insert_entry())
_LOCK = prepare(
    select(*refund_columns, func.clock_timestamp().label("now")).where(_THE_REFUND).with_for_update(of=refunds)
)
_CHANGED = ("status", "payment_reference", *CHANGING, *HEAD)
_changed = update(refunds).where(_THE_REFUND).values({name: bindparam(name) for name in _CHANGED})
_saved = (_changed, refund_counts.transition(), *insert_entry())
_SAVE = prepare_together(*_saved)
_SAVE_AND_TELL = prepare_together(*_saved, outbox.insert_next_event())
_MARK_KEY = prepare(
    update(refunds)
    .where(_THE_REFUND, refunds.c.key_epoch == bindparam("epoch"))
    .values(key_spent=bindparam("spent", type_=Boolean))
)
_IDENTIFY = prepare(
    insert(identified_payments)
    .values({name: bindparam(name) for name in ("order_id", "first_reference", "reference")})
    .on_conflict_do_nothing()
)
_LOCK_REFUND_OF_PAYMENT = prepare(
    select(refunds.c.business_key)
    .where(
        refunds.c.order_id == bindparam("order_id", type_=Uuid),
        refunds.c.payment_reference == bindparam("reference", type_=Text),
    )
    .with_for_update()
)
_IDENTIFIED = prepare(select(identified_reference).where(_THE_REFUND))


async def clock(connection: Connection) -> datetime:
    now: datetime = await _CLOCK.fetch_value(connection)
    return now


async def add(connection: Connection, opened: Sequence[tuple[Refund, AuditEntry]]) -> set[UUID]:
    """Store the refunds whose claims and payments are new, each with its audit row; returns the ids of these.

    The rows go in by the order of their keys: two consumers with the same claims then cannot wait for each other.
    """
    audited = {refund.id: entry_parameters(entry, ChainHead()) for refund, entry in opened}
    in_order = sorted((refund for refund, _ in opened), key=lambda refund: refund.reference)
    rows = [all_values(refund) | audited[refund.id] for refund in in_order]
    names = refunds.c.keys()
    columns = {name: [row[name] for row in rows] for name in names}
    new = {row["id"] for row in await _INSERT_NEW.fetch_all(connection, **columns)}
    await _COUNT_AND_AUDIT.execute_many(connection, [audited[refund_id] for refund_id in new])
    return new


async def lock(connection: Connection, refund_id: UUID) -> LockedRefund:
    """Raises `LookupError` when there is no such refund."""
    row = await _LOCK.fetch_one(connection, refund_id=refund_id)
    if row is None:
        raise LookupError(f"no refund {refund_id}")
    return LockedRefund(to_refund(row), row["now"], ChainHead(row["audit_position"], row["audit_hash"]))


async def save(
    connection: Connection, locked: LockedRefund, refund: Refund, entry: AuditEntry, event: NewEvent | None = None
) -> None:
    """Write what became of a locked refund, with its audit row and, if anybody is to be told, the event."""
    audited = entry_parameters(entry, locked.audit_head)
    parameters = {"refund_id": refund.id, **changing_values(refund), **audited}
    if event is None:
        await _SAVE.execute(connection, **parameters)
    else:
        await _SAVE_AND_TELL.execute(connection, **parameters, **outbox.event_parameters(event))


async def mark_key(connection: Connection, refund: Refund, *, spent: bool) -> None:
    """Store whether the gateway's latest answer to this key of the refund was an error; a newer key is left alone."""
    await _MARK_KEY.execute(connection, refund_id=refund.id, epoch=refund.key_epoch, spent=spent)


async def identify_payment(connection: Connection, order_id: UUID, first_reference: str, reference: str) -> str | None:
    """Store the provider's id of a payment, for its refund now or later; returns the business key of a refund that
    exists.

    That refund stays locked until the transaction ends: either its permanent failure sees the id, or this caller sees
    the dead job.
    """
    await _IDENTIFY.execute(connection, order_id=order_id, first_reference=first_reference, reference=reference)
    business_key: str | None = await _LOCK_REFUND_OF_PAYMENT.fetch_value(
        connection, order_id=order_id, reference=first_reference
    )
    return business_key


async def is_identified(connection: Connection, locked: LockedRefund) -> bool:
    """Whether the id of its payment is known by now; it may have come while the refund's lock was waited for."""
    return await _IDENTIFIED.fetch_value(connection, refund_id=locked.refund.id) is not None
