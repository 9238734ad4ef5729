"""A refund as the ledger stores it, in the format of Stripe's API. The dialect of Adyen converts it."""

import secrets
import time
from dataclasses import dataclass
from typing import Any

AMOUNT_LIMIT = 10**15
DEFAULT_CURRENCY = "usd"

Refund = dict[str, Any]


@dataclass(frozen=True)
class Capture:
    """The captured amount of a payment in minor units, if the payment was declared to the sandbox."""

    amount: int
    currency: str


def new_refund(
    *,
    amount: int,
    currency: str,
    payment_intent: str | None = None,
    charge: str | None = None,
    metadata: dict[str, str] | None = None,
    reason: str | None = None,
    refund_id: str | None = None,
    status: str = "succeeded",
) -> Refund:
    """https://docs.stripe.com/api/refunds/object"""
    return {
        "id": refund_id or f"re_{secrets.token_hex(12)}",
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge,
        "created": int(time.time()),
        "currency": currency,
        "metadata": metadata or {},
        "payment_intent": payment_intent,
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def payment_of(refund: Refund) -> str:
    payment: str = refund["payment_intent"] or refund["charge"]
    return payment


def reference_of(refund: Refund) -> str | None:
    reference: str | None = refund["metadata"].get("reference")
    return reference


def with_status(refund: Refund, status: str, reason: str | None) -> Refund:
    changed = {name: value for name, value in refund.items() if name != "failure_reason"} | {"status": status}
    return changed | ({"failure_reason": reason or "unknown"} if status == "failed" else {})
