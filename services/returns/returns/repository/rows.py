"""Between a return, or a known order, and its row."""

from dataclasses import fields
from typing import Any

from common.database.statements import Record
from common.money import quantize
from sqlalchemy import ColumnElement, Uuid, bindparam, or_

from returns.domain import KnownOrder, RefundStatus, RejectionReason, Return, ReturnStatus
from returns.tables import returns

_RETURN = tuple(field.name for field in fields(Return))
_KNOWN_ORDER = tuple(field.name for field in fields(KnownOrder))

# What a transition of a return may touch.
CHANGING = (
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

the_return: ColumnElement[bool] = returns.c.id == bindparam("return_id", type_=Uuid)
_viewer = bindparam("visible_to", type_=Uuid)
# The return, where the one customer named by `visible_to` may see it; None sees every return. Another customer's
# return is found as little as one that does not exist: the same statement, no row, no lock, and so the same time.
the_visible_return: ColumnElement[bool] = the_return & or_(_viewer.is_(None), returns.c.customer_id == _viewer)


def changing_values(of: Return) -> dict[str, Any]:
    return {name: getattr(of, name) for name in CHANGING}


def all_values(of: Return) -> dict[str, Any]:
    return {name: getattr(of, name) for name in _RETURN}


def to_return(row: Record) -> Return:
    """The amount comes with four decimals and leaves with those of its currency."""
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
