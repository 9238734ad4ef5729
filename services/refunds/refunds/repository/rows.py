"""Between a refund and its row."""

from typing import Any

from common.audit import ChainHead
from common.database.statements import Record
from common.money import quantize

from refunds.domain import Cause, Claim, Refund, Status

# What a change of a refund may touch, and where its audit chain ends.
CHANGING = ("transaction_id", "error", "attempts", "completed_at", "key_epoch", "key_spent")
HEAD = ("audit_position", "audit_hash")
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


def changing_values(refund: Refund, head: ChainHead) -> dict[str, Any]:
    changes = {name: getattr(refund, name) for name in CHANGING}
    return {"status": refund.status.value, **changes, "audit_position": head.position, "audit_hash": head.hash}


def all_values(refund: Refund, head: ChainHead) -> dict[str, Any]:
    return {
        "id": refund.id,
        **{name: getattr(refund.claim, name) for name in _CLAIM},
        "cause": refund.claim.cause.value,
        "amount": refund.claim.amount,
        "created_at": refund.created_at,
        **changing_values(refund, head),
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
        **{name: row[name] for name in CHANGING},
    )
