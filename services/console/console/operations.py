"""The operations of the services' APIs that pages call, with the roles that may call each.

The services decide; this table only says what a page shows. tests/console/test_operations.py compares it with the
policy that the services declare (docs/reference/access.md).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from common.access.auth import Role

EVERYBODY = frozenset(Role)
STAFF = Role.staff()
OPS = frozenset({Role.OPS})
MANAGERS = frozenset({Role.MANAGER, Role.OPS})


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` begins after `/api/v1`. `service` is `every` for a route that all services have. `target` is the state
    that the request asks for, where the roles depend on it."""

    service: str
    method: str
    path: str
    roles: frozenset[Role]
    target: str | None = None


def may_call(role: Role, operations: Iterable[Operation]) -> bool:
    return all(role in operation.roles for operation in operations)


LIST_ORDERS = Operation("orders", "GET", "/orders", EVERYBODY)
READ_ORDER = Operation("orders", "GET", "/orders/{order_id}", EVERYBODY)
READ_HISTORY = Operation("orders", "GET", "/orders/{order_id}/history", EVERYBODY)
CANCEL_ORDER = Operation("orders", "POST", "/orders/{order_id}/cancel", MANAGERS | {Role.CLIENT})
READ_INVOICE = Operation("orders", "GET", "/orders/{order_id}/invoice", EVERYBODY)


def _change_order(target: str, *roles: Role) -> Operation:
    return Operation("orders", "PATCH", "/orders/{order_id}/state", MANAGERS.union(roles), target)


PAY_ORDER = _change_order("PAID", Role.PAYMENTS)
PROCESS_ORDER = _change_order("PROCESSING_IN_WAREHOUSE", Role.WAREHOUSE)
SHIP_ORDER = _change_order("SHIPPED", Role.WAREHOUSE)
DELIVER_ORDER = _change_order("DELIVERED", Role.WAREHOUSE)

ALL = tuple(value for value in list(vars().values()) if isinstance(value, Operation))
