"""References of clients to orders: the external id and the metadata (ADR 25)."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from common.access.auth import Caller
from common.aggregates.precondition import UNCONDITIONAL, Precondition
from common.database.statements import Connection
from common.errors import Code, Problem
from common.metadata import merge_metadata

from orders.domain.order import ExternalIdIsSet, Order
from orders.repository import reading, writing
from orders.repository.writing import ExternalIdTaken


async def amend_order(
    connection: Connection,
    caller: Caller,
    order_id: UUID,
    external_id: str,
    metadata_changes: Mapping[str, str | None],
    precondition: Precondition = UNCONDITIONAL,
) -> Order:
    """The order with the external id, unless it is empty, and with changed metadata. There is no event of it.

    Raises `Problem` NOT_FOUND, PRECONDITION_FAILED, VALIDATION_ERROR for too many names, CONFLICT when the order has
    another external id or another order has this one.
    """
    locked = await writing.lock(connection, order_id, caller.bound_to)
    if locked is None:
        raise Problem.not_found("order", order_id)
    order = locked.value
    precondition.check(order.version)
    owner = caller.owner_of_external_id(order.customer_id)
    try:
        metadata = merge_metadata(order.metadata, metadata_changes)
        amended = order.amend(locked.now, external_id, owner, metadata)
    except ExternalIdIsSet as error:
        message = "The order has another external_id, which cannot be changed."
        raise _conflict(message, error.external_id, order.id, order.order_number) from error
    except ValueError as error:
        raise Problem.invalid("metadata", str(error)) from error
    if amended is not order:
        details = {"external_id": external_id, "metadata": metadata_changes}
        given_details = {name: value for name, value in details.items() if value}
        try:
            await writing.amend(connection, locked, amended, caller.actor, given_details)
        except ExternalIdTaken as error:
            raise external_id_taken(external_id, owner) from error
    return amended


def external_id_taken(external_id: str, owner: UUID) -> Problem:
    """A CONFLICT that names the first order, which the aborted transaction cannot read."""
    first_order = partial(_name_first_order, external_id, owner)
    return Problem(Code.CONFLICT, _TAKEN, {"external_id": external_id}, after_rollback=first_order)


async def _name_first_order(external_id: str, owner: UUID, connection: Connection) -> Problem | None:
    first = await reading.find_by_external_id(connection, external_id, owner)
    return None if first is None else _conflict(_TAKEN, external_id, first["id"], first["order_number"])


_TAKEN = "There is an order with this external_id already."


def _conflict(message: str, external_id: str, order_id: UUID, order_number: str) -> Problem:
    details = {"external_id": external_id, "order_id": order_id, "order_number": order_number}
    return Problem(Code.CONFLICT, message, details)
