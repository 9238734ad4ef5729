"""Between a refund and its row."""

from typing import Any

from common.aggregates.table import AggregateTable
from common.database.statements import Record
from common.money import quantize
from sqlalchemy import select

from refunds.domain import Cause, Claim, Refund, Status
from refunds.tables import identified_payments, refund_counts, refunds

# What a change of a refund may touch, and where its audit chain ends.
CHANGING = ("transaction_id", "error", "attempts", "completed_at", "key_epoch", "key_spent")
HEAD = ("audit_position", "audit_hash")
# The provider's id of the refund's payment, where it came after the claim.
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
_CLAIM = (
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
    claimed = {"payment_reference": refund.claim.payment_reference}
    return {
        "status": refund.status.value,
        **claimed,
        **changes,
    }


def all_values(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        **{name: getattr(refund.claim, name) for name in _CLAIM},
        "cause": refund.claim.cause.value,
        "amount": refund.claim.amount,
        "created_at": refund.created_at,
        **changing_values(refund),
    }


def to_refund(row: Record) -> Refund:
    """The amount comes with four decimals and leaves with those of its currency."""
    claim = Claim(
        cause=Cause(row["cause"]),
        amount=quantize(row["amount"], row["currency"]),
        **{name: row[name] for name in _CLAIM},
    )
    return Refund(
        id=row["id"],
        claim=claim,
        created_at=row["created_at"],
        status=Status(row["status"]),
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
