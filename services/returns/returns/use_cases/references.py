"""References of clients to returns: the external id and the metadata (ADR 25)."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from common.access.auth import Caller
from common.aggregates.precondition import UNCONDITIONAL, Precondition
from common.database.statements import Connection
from common.errors import Code, Problem
from common.metadata import merge_metadata

from returns.domain.return_ import ExternalIdIsSet, Return
from returns.repository import reading, writing
from returns.repository.writing import ExternalIdTaken


async def amend_return(
    connection: Connection,
    caller: Caller,
    return_id: UUID,
    external_id: str,
    metadata_changes: Mapping[str, str | None],
    precondition: Precondition = UNCONDITIONAL,
) -> Return:
    """The return with the external id, unless it is empty, and with changed metadata. There is no event of it.

    Raises `Problem` NOT_FOUND, PRECONDITION_FAILED, VALIDATION_ERROR for too many names, CONFLICT when the return has
    another external id or another return has this one.
    """
    locked = await writing.lock(connection, return_id, caller.bound_to)
    if locked is None:
        raise Problem.not_found("return", return_id)
    current = locked.value
    precondition.check(current.version)
    owner = caller.owner_of_external_id(current.customer_id)
    try:
        metadata = merge_metadata(current.metadata, metadata_changes)
        amended = current.amend(locked.now, external_id, owner, metadata)
    except ExternalIdIsSet as error:
        message = "The return has another external_id, which cannot be changed."
        raise _conflict(message, error.external_id, current.id) from error
    except ValueError as error:
        raise Problem.invalid("metadata", str(error)) from error
    if amended is not current:
        details = {"external_id": external_id, "metadata": metadata_changes}
        given_details = {name: value for name, value in details.items() if value}
        try:
            await writing.amend(connection, locked, amended, caller.actor, given_details)
        except ExternalIdTaken as error:
            raise external_id_taken(external_id, owner) from error
    return amended


def external_id_taken(external_id: str, owner: UUID) -> Problem:
    """A CONFLICT that names the first return, which the aborted transaction cannot read."""
    first_return = partial(name_first_return, external_id, owner)
    return Problem(Code.CONFLICT, _TAKEN, {"external_id": external_id}, after_rollback=first_return)


async def name_first_return(external_id: str, owner: UUID, connection: Connection) -> Problem | None:
    """A CONFLICT that names the owner's return with this external id, if there is one."""
    first_id = await reading.find_by_external_id(connection, external_id, owner)
    return None if first_id is None else _conflict(_TAKEN, external_id, first_id)


_TAKEN = "There is a return with this external_id already."


def _conflict(message: str, external_id: str, return_id: UUID) -> Problem:
    return Problem(Code.CONFLICT, message, {"external_id": external_id, "return_id": return_id})
