"""Commands on returns: transitions of the state; a refused one is audited."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TypeAlias
from uuid import UUID

from common.access.auth import Caller, Role
from common.aggregates.precondition import UNCONDITIONAL, Precondition
from common.database.statements import Connection
from common.errors import Problem

from returns import events
from returns.domain.four_eyes import FourEyes
from returns.domain.return_ import RejectionReason, Return, ReturnStatus, TransitionRefused
from returns.repository import writing

Step: TypeAlias = Callable[[Return, datetime], Return]

# The states that a client can request by name, and their transitions.
STEPS: Mapping[ReturnStatus, Step] = {
    ReturnStatus.IN_TRANSIT: Return.ship_back,
    ReturnStatus.RECEIVED: Return.receive,
    ReturnStatus.COMPLETED: Return.complete,
}
# Who may request a transition to a state, in addition to ops.
ROLES: Mapping[ReturnStatus, tuple[Role, ...]] = {
    ReturnStatus.APPROVED: (Role.MANAGER,),
    ReturnStatus.REJECTED: (Role.MANAGER,),
    ReturnStatus.IN_TRANSIT: (Role.CLIENT, Role.WAREHOUSE, Role.MANAGER),
    ReturnStatus.RECEIVED: (Role.WAREHOUSE, Role.MANAGER),
    ReturnStatus.COMPLETED: (Role.WAREHOUSE, Role.MANAGER),
}

_DECISIONS = (ReturnStatus.APPROVED, ReturnStatus.REJECTED)


async def approve_return(
    connection: Connection,
    caller: Caller,
    return_id: UUID,
    manager_notes: str,
    four_eyes: FourEyes,
    precondition: Precondition = UNCONDITIONAL,
) -> Return | Problem:
    """As `change_return_state`. Where two approvers are needed, the first one leaves the return REQUESTED."""

    def step(value: Return, now: datetime) -> Return:
        approvers = four_eyes.approvers(value.refund_amount, value.currency)
        return value.approve(now, manager_notes, caller.id, approvers)

    details = {"manager_notes": manager_notes}
    return await _take_step(connection, caller, return_id, ReturnStatus.APPROVED, step, details, precondition)


async def reject_return(
    connection: Connection,
    caller: Caller,
    return_id: UUID,
    manager_notes: str,
    rejection_reason: RejectionReason,
    precondition: Precondition = UNCONDITIONAL,
) -> Return | Problem:
    """As `change_return_state`."""
    step = partial(Return.reject, manager_notes=manager_notes, rejection_reason=rejection_reason)
    details = {"manager_notes": manager_notes, "rejection_reason": rejection_reason}
    return await _take_step(connection, caller, return_id, ReturnStatus.REJECTED, step, details, precondition)


async def change_return_state(
    connection: Connection,
    caller: Caller,
    return_id: UUID,
    new_state: ReturnStatus,
    reason: str | None = None,
    precondition: Precondition = UNCONDITIONAL,
) -> Return | Problem:
    """The changed return, or the audited refusal. Raises `Problem` NOT_FOUND, then FORBIDDEN, then PRECONDITION_FAILED.

    `new_state` is one of `STEPS`.
    """
    details = {} if reason is None else {"reason": reason}
    return await _take_step(connection, caller, return_id, new_state, STEPS[new_state], details, precondition)


async def _take_step(
    connection: Connection,
    caller: Caller,
    return_id: UUID,
    new_state: ReturnStatus,
    step: Step,
    details: Mapping[str, object],
    precondition: Precondition,
) -> Return | Problem:
    locked = await writing.lock(connection, return_id, caller.bound_to)
    if locked is None:
        raise Problem.not_found("return", return_id)
    caller.require(*ROLES[new_state])
    if new_state in _DECISIONS and caller.id == locked.value.opened_by:
        await writing.refuse(connection, locked, new_state, caller.actor, details)
        return Problem.forbidden("Who opened a return may not decide about it.")
    precondition.check(locked.value.version)
    try:
        changed_return = step(locked.value, locked.now)
    except TransitionRefused as refusal:
        await writing.refuse(connection, locked, new_state, caller.actor, details)
        # Returned, not raised: the audit row must be committed.
        return Problem.invalid_transition(refusal.current, refusal.requested, list(refusal.allowed))
    if changed_return is locked.value:
        return changed_return
    is_transition = changed_return.status is not locked.value.status
    event = (
        events.new_event(events.OF_STATUS[changed_return.status], changed_return, caller.actor)
        if is_transition
        else None
    )
    await writing.save(connection, locked, changed_return, caller.actor, details, event)
    return changed_return
