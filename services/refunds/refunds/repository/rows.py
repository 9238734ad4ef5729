"""Conversion between refunds and their rows."""

from typing import Any

from common.aggregates.table import AggregateTable
from common.database.statements import Record
from common.money import quantize
from sqlalchemy import select

from refunds.domain.refund import Refund, RefundStatus
from refunds.domain.request import Cause, RefundRequest
from refunds.tables import ENTITY, identified_payments, refund_counts, refunds

_CHANGING = ("transaction_id", "error", "attempts", "completed_at", "key_epoch", "key_spent")
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


def refund_values(refund: Refund) -> dict[str, Any]:
    request = refund.request
    return {
        "id": refund.id,
        "cause": request.cause.value,
        "amount": request.amount,
        "created_at": refund.created_at,
        "status": refund.status.value,
        **{name: getattr(request, name) for name in _REQUEST},
        **{name: getattr(refund, name) for name in _CHANGING},
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
        **{name: row[name] for name in _CHANGING},
    )


REFUNDS = AggregateTable(
    refunds,
    ENTITY,
    columns=(*refunds.c, identified_reference),
    load=to_refund,
    dump=refund_values,
    changing=("status", "payment_reference", *_CHANGING),
    counts=refund_counts,
)
