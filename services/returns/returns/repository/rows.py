"""Conversion between returns and their rows, and from the rows of known orders."""

from typing import Any

from common.aggregates.table import AggregateTable
from common.database.statements import Record
from common.money import quantize
from msgspec import convert

from returns.domain.eligibility import KnownOrder
from returns.domain.return_ import Return
from returns.tables import ENTITY, return_counts, returns

_CHANGING = (
    "status",
    "manager_notes",
    "rejection_reason",
    "refund_status",
    "refund_transaction_id",
    "updated_at",
    "approved_at",
    "rejected_at",
    "completed_at",
    "version",
    "approvals",
)
_AMENDING = ("external_id", "external_id_owner", "metadata", "updated_at", "version")


def return_values(of: Return) -> dict[str, Any]:
    values = {name: getattr(of, name) for name in Return.__slots__}
    approvals = [
        {"approved_by": str(each.approved_by), "approved_at": each.approved_at.isoformat()} for each in of.approvals
    ]
    # Null is read and written without a conversion.
    return values | {"metadata": of.metadata or None, "approvals": approvals or None}


def to_return(row: Record) -> Return:
    """The amount has four decimals in the row, and those of its currency in the return."""
    amount = quantize(row["refund_amount"], row["currency"])
    return convert(
        dict(row) | {"refund_amount": amount, "metadata": row["metadata"] or {}, "approvals": row["approvals"] or ()},
        Return,
    )


def to_known_order(row: Record) -> KnownOrder:
    return convert(dict(row) | {"total_amount": quantize(row["total_amount"], row["currency"])}, KnownOrder)


RETURNS = AggregateTable(
    returns,
    ENTITY,
    columns=tuple(returns.c),
    load=to_return,
    dump=return_values,
    changing=_CHANGING,
    amending=_AMENDING,
    counts=return_counts,
    owner=returns.c.customer_id,
)
