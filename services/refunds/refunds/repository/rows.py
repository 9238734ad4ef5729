"""Conversion between refunds and their rows."""

from typing import Any

from common.aggregates.table import AggregateTable
from common.database.statements import Record
from common.money import quantize
from sqlalchemy import select

from refunds.domain import Cause, Refund, RefundRequest, RefundStatus
from refunds.tables import identified_payments, refund_counts, refunds

# What a change of a refund may touch, and where its audit chain ends.
CHANGING = ("transaction_id", "error", "attempts", "completed_at", "key_epoch", "key_spent")
HEAD = ("audit_position", "audit_hash")
# The provider's id of the refund's payment, where it was reported after the request.
identified_reference = (
    select(identified_payments.c.reference)
    .where(
        identified_payments.c.order_id == refunds.c.order_id,
        identified_payments.c.first_reference == refunds.c.payment_reference,
    )
    .correlate(refunds)
    .scalar_subquery()
    .label("identified_reference")
)
refund_columns = (*refunds.c, identified_reference)
_REQUEST = (
    "business_key",
    "order_id",
    "order_number",
    "return_id",
    "currency",
    "payment_reference",
    "customer_email",
    "customer_name",
)


def changing_values(refund: Refund) -> dict[str, Any]:
    changes = {name: getattr(refund, name) for name in CHANGING}
    requested = {"payment_reference": refund.request.payment_reference}
    return {
        "status": refund.status.value,
        **requested,
        **changes,
    }


def all_values(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        **{name: getattr(refund.request, name) for name in _REQUEST},
        "cause": refund.request.cause.value,
        "amount": refund.request.amount,
        "created_at": refund.created_at,
        **changing_values(refund),
    }


def to_refund(row: Record) -> Refund:
    """The amount has four decimals in the row, and those of its currency in the refund."""
    request = RefundRequest(
        cause=Cause(row["cause"]),
        amount=quantize(row["amount"], row["currency"]),
        **{name: row[name] for name in _REQUEST},
    )
    return Refund(
        id=row["id"],
        request=request,
        created_at=row["created_at"],
        status=RefundStatus(row["status"]),
        identified_reference=row["identified_reference"],
        **{name: row[name] for name in CHANGING},
    )


REFUNDS = AggregateTable(
    refunds,
    "REFUND",
    columns=refund_columns,
    load=to_refund,
    dump=all_values,
    changing=("status", "payment_reference", *CHANGING),
    counts=refund_counts,
)
