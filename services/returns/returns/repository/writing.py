"""The hot path: lock a return, then write all that a step changes in one statement (ADR 0002)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from common.audit import trail
from common.audit.trail import AuditEntry, ChainHead
from common.database.statements import Connection, prepare, prepare_together
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from sqlalchemy import BindParameter, bindparam, func, insert, select, update

from returns.domain import Return
from returns.repository.rows import CHANGING, all_values, changing_values, the_return, the_visible_return, to_return
from returns.tables import return_counts, returns


@dataclass(frozen=True, slots=True)
class LockedReturn:
    """A return that nobody else can change until the transaction ends, and the database's time."""

    value: Return
    now: datetime
    sequence: int
    audit_head: ChainHead


class AlreadyReturned(Exception):
    """The order has a return, perhaps since a moment ago; the transaction is aborted."""


def _parameters(*names: str) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(name) for name in names}


# Not now(), which is the transaction's beginning: whoever waited for the lock would write a time before the winner's.
_now = func.greatest(func.clock_timestamp(), returns.c.updated_at).label("now")
_LOCK = prepare(select(returns, _now).where(the_visible_return).with_for_update())

# The parameters of the audit row (`audit_position`, `audit_hash`) are at the same time the return's new chain head.
_HEAD = ("audit_position", "audit_hash")
_OF_REFUND_EVENT = {"refund_epoch", "refund_sequence"}
_opened = insert(returns).values(_parameters(*(c.name for c in returns.c if c.name not in _OF_REFUND_EVENT)))
_changed = update(returns).where(the_return).values(_parameters(*CHANGING, "sequence", *_HEAD))
_head_moved = update(returns).where(the_return).values(_parameters(*_HEAD))
_audited = (trail.insert_audit(), trail.insert_audit_details())
_ADD = prepare_together(_opened, *_audited, return_counts.arrival(), outbox.insert_event())
_SAVE = prepare_together(_changed, *_audited, return_counts.transition(), outbox.insert_event())
_REFUSE = prepare_together(_head_moved, *_audited)
# Which part of _ADD is executed first is PostgreSQL's choice: it meets the other return, or that one's first event.
_ONE_RETURN_PER_ORDER = {"uq_returns_order_id", "uq_outbox_topic_key_epoch_sequence"}


async def lock(connection: Connection, return_id: UUID, visible_to: UUID | None) -> LockedReturn | None:
    """The return as it is once nobody else changes it; None when there is none that this customer may see."""
    row = await _LOCK.fetch_one(connection, return_id=return_id, visible_to=visible_to)
    if row is None:
        return None
    head = ChainHead(row["audit_position"], row["audit_hash"])
    return LockedReturn(to_return(row), row["now"], row["sequence"], head)


async def add(connection: Connection, opened: Return, entry: AuditEntry, event: NewEvent) -> None:
    """A new return with its audit row and event. Raises `AlreadyReturned`, also when another was a moment faster."""
    audited, _ = trail.audit_parameters(entry, ChainHead())
    try:
        await _ADD.execute(
            connection,
            **all_values(opened),
            **audited,
            **outbox.event_parameters(event),
            sequence=event.sequence,
        )
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name not in _ONE_RETURN_PER_ORDER:
            raise
        raise AlreadyReturned from error


async def save(
    connection: Connection, locked: LockedReturn, changed: Return, entry: AuditEntry, event: NewEvent
) -> None:
    """A transition with its audit row and event."""
    audited, _ = trail.audit_parameters(entry, locked.audit_head)
    await _SAVE.execute(
        connection,
        return_id=changed.id,
        **changing_values(changed),
        **audited,
        **outbox.event_parameters(event),
        sequence=event.sequence,
    )


async def save_refusal(connection: Connection, locked: LockedReturn, entry: AuditEntry) -> None:
    """The audit row of a refused attempt; nothing that anybody else can see of the return changes."""
    audited, _ = trail.audit_parameters(entry, locked.audit_head)
    await _REFUSE.execute(connection, return_id=locked.value.id, **audited)
