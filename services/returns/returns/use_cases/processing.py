"""Take a return through its states; what the state does not allow is refused, and the attempt audited."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from common.access.auth import Caller, Role, require
from common.audit.trail import AuditEntry
from common.database.statements import Connection
from common.errors import Problem, invalid_transition, not_found

from returns import events
from returns.domain import RejectionReason, Return, ReturnStatus, TransitionRefused
from returns.repository import writing
from returns.tables import ENTITY
from returns.use_cases.visibility import bound_to

Step: TypeAlias = Callable[[Return, datetime], Return]

# The states that a return is brought into by asking for them, how, and who may; ops may do everything.
STEPS: Mapping[ReturnStatus, Step] = {
    ReturnStatus.IN_TRANSIT: Return.ship_back,
    ReturnStatus.RECEIVED: Return.receive,
    ReturnStatus.COMPLETED: Return.complete,
}
_ROLES: Mapping[ReturnStatus, tuple[Role, ...]] = {
    ReturnStatus.APPROVED: (Role.MANAGER,),
    ReturnStatus.REJECTED: (Role.MANAGER,),
    ReturnStatus.IN_TRANSIT: (Role.CLIENT, Role.WAREHOUSE, Role.MANAGER),
    ReturnStatus.RECEIVED: (Role.WAREHOUSE, Role.MANAGER),
    ReturnStatus.COMPLETED: (Role.WAREHOUSE, Role.MANAGER),
}


async def approve_return(
    connection: Connection, caller: Caller, return_id: UUID, manager_notes: str
) -> Return | Problem:
    """As `change_return_state`."""
    return await _take_step(
        connection,
        caller,
        return_id,
        ReturnStatus.APPROVED,
        lambda requested, now: requested.approve(now, manager_notes),
        {"manager_notes": manager_notes},
    )


async def reject_return(
    connection: Connection, caller: Caller, return_id: UUID, manager_notes: str, rejection_reason: RejectionReason
) -> Return | Problem:
    """As `change_return_state`."""
    return await _take_step(
        connection,
        caller,
        return_id,
        ReturnStatus.REJECTED,
        lambda requested, now: requested.reject(now, manager_notes, rejection_reason),
        {"manager_notes": manager_notes, "rejection_reason": rejection_reason},
    )


async def change_return_state(
    connection: Connection, caller: Caller, return_id: UUID, new_state: ReturnStatus, reason: str | None = None
) -> Return | Problem:
    """The changed return, or the audited refusal. Raises `Problem` NOT_FOUND and then FORBIDDEN.

    `new_state` is one of `STEPS`.
    """
    details = {} if reason is None else {"reason": reason}
    return await _take_step(connection, caller, return_id, new_state, STEPS[new_state], details)


async def _take_step(
    connection: Connection,
    caller: Caller,
    return_id: UUID,
    new_state: ReturnStatus,
    step: Step,
    details: Mapping[str, Any],
) -> Return | Problem:
    locked = await writing.lock(connection, return_id, bound_to(caller))
    if locked is None:
        raise not_found("return", return_id)
    require(caller, *_ROLES[new_state])
    before = locked.value
    try:
        changed = step(before, locked.now)
    except TransitionRefused as refusal:
        entry = AuditEntry(ENTITY, return_id, before.status, new_state, "REFUSED", caller.actor, locked.now, details)
        await writing.save_refusal(connection, locked, entry)
        return invalid_transition(refusal.current, refusal.requested, list(refusal.allowed))
    entry = AuditEntry(ENTITY, return_id, before.status, new_state, "ACCEPTED", caller.actor, locked.now, details)
    await writing.save(connection, locked, changed, entry, events.new_event(changed, locked.sequence + 1, caller.actor))
    return changed
