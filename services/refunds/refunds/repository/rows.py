"""Conversion between refunds and their rows."""

from typing import Any

from common.aggregates.table import AggregateTable
from common.database.statements import Record
from common.money import quantize
from msgspec import convert
from sqlalchemy import select

from refunds.domain.refund import Refund
from refunds.domain.request import RefundRequest
from refunds.tables import ENTITY, identified_payments, refund_counts, refunds

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
_REFUND = tuple(name for name in Refund.__slots__ if name in refunds.c)


def refund_values(refund: Refund) -> dict[str, Any]:
    return {
        **{name: getattr(refund.request, name) for name in RefundRequest.__slots__},
        **{name: getattr(refund, name) for name in _REFUND},
    }


def to_refund(row: Record) -> Refund:
    """The amount has four decimals in the row, and those of its currency in the refund."""
    values = dict(row) | {"amount": quantize(row["amount"], row["currency"])}
    return convert(values | {"request": values}, Refund)


REFUNDS = AggregateTable(
    refunds,
    ENTITY,
    columns=(*refunds.c, identified_reference),
    load=to_refund,
    dump=refund_values,
    changing=(
        "status",
        "payment_reference",
        "transaction_id",
        "error",
        "attempts",
        "completed_at",
        "key_epoch",
        "key_spent",
        "called_at",
        "last_answer",
        "reported",
        "settled_by_hand",
        "unreached_since",
    ),
    counts=refund_counts,
)
