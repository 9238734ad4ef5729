"""Conversion between returns and their rows, and from the rows of known orders."""

from dataclasses import fields
from typing import Any

from common.aggregates.table import AggregateTable
from common.database.statements import Record
from common.money import quantize

from returns.domain.eligibility import KnownOrder
from returns.domain.return_ import RefundStatus, RejectionReason, Return, ReturnStatus
from returns.tables import ENTITY, return_counts, returns

_RETURN = tuple(field.name for field in fields(Return))
_KNOWN_ORDER = tuple(field.name for field in fields(KnownOrder))
_CHANGING = (
    "status",
    "manager_notes",
    "rejection_reason",
    "refund_status",
    "updated_at",
    "approved_at",
    "rejected_at",
    "completed_at",
    "version",
)


def return_values(of: Return) -> dict[str, Any]:
    return {name: getattr(of, name) for name in _RETURN}


def to_return(row: Record) -> Return:
    """The amount has four decimals in the row, and those of its currency in the return."""
    values: dict[str, Any] = {name: row[name] for name in _RETURN}
    rejection_reason = values["rejection_reason"]
    return Return(
        **values
        | {
            "status": ReturnStatus(values["status"]),
            "rejection_reason": None if rejection_reason is None else RejectionReason(rejection_reason),
            "refund_status": RefundStatus(values["refund_status"]),
            "refund_amount": quantize(values["refund_amount"], values["currency"]),
        }
    )


def to_known_order(row: Record) -> KnownOrder:
    values: dict[str, Any] = {name: row[name] for name in _KNOWN_ORDER}
    return KnownOrder(**values | {"total_amount": quantize(values["total_amount"], values["currency"])})


RETURNS = AggregateTable(
    returns,
    ENTITY,
    columns=tuple(returns.c),
    load=to_return,
    dump=return_values,
    changing=_CHANGING,
    counts=return_counts,
    owner=returns.c.customer_id,
)
