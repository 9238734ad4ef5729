"""Table of API operations that the console's pages call, and of the roles that may call each one.

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
EXPLAIN_ORDER = Operation("orders", "GET", "/orders/{order_id}/explain", STAFF)
READ_STATUS = Operation("every", "GET", "/ops/status", MANAGERS)
CANCEL_ORDER = Operation("orders", "POST", "/orders/{order_id}/cancel", MANAGERS | {Role.CLIENT})
READ_INVOICE = Operation("orders", "GET", "/orders/{order_id}/invoice", EVERYBODY)


def _change_order(target: str, *roles: Role) -> Operation:
    return Operation("orders", "PATCH", "/orders/{order_id}/state", MANAGERS.union(roles), target)


PAY_ORDER = _change_order("PAID", Role.PAYMENTS)
PROCESS_ORDER = _change_order("PROCESSING_IN_WAREHOUSE", Role.WAREHOUSE)
SHIP_ORDER = _change_order("SHIPPED", Role.WAREHOUSE)
DELIVER_ORDER = _change_order("DELIVERED", Role.WAREHOUSE)

LIST_RETURNS = Operation("returns", "GET", "/returns", EVERYBODY)
READ_RETURN = Operation("returns", "GET", "/returns/{return_id}", EVERYBODY)
APPROVE_RETURN = Operation("returns", "PATCH", "/returns/{return_id}/approve", MANAGERS)
REJECT_RETURN = Operation("returns", "PATCH", "/returns/{return_id}/reject", MANAGERS)
LIST_REFUNDS = Operation("refunds", "GET", "/refunds", STAFF)
READ_REFUND = Operation("refunds", "GET", "/refunds/{refund_id}", STAFF)
SETTLE_REFUND = Operation("refunds", "POST", "/refunds/{refund_id}/settlement", OPS)
READ_BOOK = Operation("refunds", "GET", "/refunds/book", STAFF)

LIST_FAILURES = Operation("every", "GET", "/ops/failures", OPS)
LIST_JOBS = Operation("every", "GET", "/ops/jobs", OPS)
READ_JOB = Operation("every", "GET", "/ops/jobs/{job_id}", OPS)
REPLAY_JOB = Operation("every", "POST", "/ops/jobs/{job_id}/replay", OPS)
DISCARD_JOB = Operation("every", "POST", "/ops/jobs/{job_id}/discard", OPS)
REPLAY_JOBS = Operation("every", "POST", "/ops/jobs/replay", OPS)
DISCARD_JOBS = Operation("every", "POST", "/ops/jobs/discard", OPS)
LIST_JOB_KINDS = Operation("every", "GET", "/ops/job-kinds", OPS)
PAUSE_JOB_KIND = Operation("every", "POST", "/ops/job-kinds/{kind}/pause", OPS)
RESUME_JOB_KIND = Operation("every", "POST", "/ops/job-kinds/{kind}/resume", OPS)
LIST_POISON = Operation("every", "GET", "/ops/poison", OPS)
READ_POISON = Operation("every", "GET", "/ops/poison/{poison_id}", OPS)
REPLAY_POISON = Operation("every", "POST", "/ops/poison/{poison_id}/replay", OPS)
REPLAY_POISON_RECORDS = Operation("every", "POST", "/ops/poison/replay", OPS)
DISCARD_POISON = Operation("every", "POST", "/ops/poison/{poison_id}/discard", OPS)
LIST_UNSENT_EVENTS = Operation("every", "GET", "/ops/outbox", OPS)
READ_UNSENT_EVENT = Operation("every", "GET", "/ops/outbox/{position}", OPS)
REPLAY_EVENT = Operation("every", "POST", "/ops/outbox/{position}/replay", OPS)
LIST_DISCREPANCIES = Operation("every", "GET", "/ops/discrepancies", MANAGERS)
ACKNOWLEDGE_DISCREPANCY = Operation("every", "POST", "/ops/discrepancies/{discrepancy_id}/acknowledge", OPS)
SEARCH_AUDIT = Operation("every", "GET", "/audit", MANAGERS)
LIST_VERIFICATIONS = Operation("every", "GET", "/ops/audit-verifications", OPS)
VERIFY_AUDIT = Operation("every", "POST", "/ops/audit-verifications", OPS)
LIST_API_KEYS = Operation("every", "GET", "/ops/api-keys", OPS)
CREATE_API_KEY = Operation("every", "POST", "/ops/api-keys", OPS)
REVOKE_API_KEY = Operation("every", "DELETE", "/ops/api-keys/{prefix}", OPS)

ALL = tuple(value for value in list(vars().values()) if isinstance(value, Operation))
