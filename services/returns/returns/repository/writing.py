"""Changing returns: lock one, then write all that a step changes in one statement (ADR 2)."""

from collections.abc import Mapping

import asyncpg
from common.aggregates.changes import Locked
from common.aggregates.store import AggregateStore
from common.audit.actor import Actor
from common.database.statements import Connection
from common.messaging.outgoing.outbox import NewEvent

from returns.domain.return_ import Return
from returns.repository.rows import RETURNS
from returns.tables import EXTERNAL_ID_INDEX

_STORE = AggregateStore(RETURNS)
# PostgreSQL chooses which part of the statement it executes first: the insert of the return, or of its first event.
_ONE_RETURN_PER_ORDER = {"uq_returns_order_id", "uq_outbox_topic_key_epoch_sequence"}

lock = _STORE.lock
lock_existing = _STORE.lock_existing
save = _STORE.save
refuse = _STORE.refuse


class AlreadyReturned(Exception):
    """The order has a return, perhaps from a concurrent transaction; this one is aborted."""


class ExternalIdTaken(Exception):
    """Another return of the owner has the external id; this transaction is aborted."""


async def add(
    connection: Connection, opened: Return, actor: Actor, details: Mapping[str, object], event: NewEvent
) -> None:
    """A new return with its audit row and event. Raises `AlreadyReturned` or `ExternalIdTaken`."""
    try:
        await _STORE.add(connection, opened, actor, details, event)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == EXTERNAL_ID_INDEX:
            raise ExternalIdTaken from error
        if error.constraint_name not in _ONE_RETURN_PER_ORDER:
            raise
        raise AlreadyReturned from error


async def amend(
    connection: Connection, locked: Locked[Return], amended: Return, actor: Actor, details: Mapping[str, object]
) -> None:
    """Write the references of a return, with an audit row. Raises `ExternalIdTaken`."""
    try:
        await _STORE.amend(connection, locked, amended, actor, details)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != EXTERNAL_ID_INDEX:
            raise
        raise ExternalIdTaken from error
