"""Validation of the request for a refund to Adyen's Checkout API, without I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from sandbox.payments.adyen.errors import invalid
from sandbox.payments.refund import AMOUNT_LIMIT, Refund, new_refund, payment_of, reference_of

REFERENCE_LENGTH = 80
_KNOWN = {"amount", "merchantAccount", "reference", "lineItems", "store", "merchantRefundReason"}
# The statuses of a refund by their names in the ledger, which are Stripe's.
_STATUS = {"pending": "received", "succeeded": "refunded", "failed": "failed", "canceled": "failed"}


@dataclass(frozen=True)
class RefundRequest:
    payment: str
    amount: int
    currency: str
    merchant_account: str
    reference: str | None

    @classmethod
    def read(cls, payment: str, body: bytes) -> Self:
        """Raises AdyenError."""
        document = _read_object(body)
        if unknown := document.keys() - _KNOWN:
            raise invalid(f"Unknown fields: {', '.join(sorted(unknown))}")
        amount, reference = document.get("amount"), document.get("reference")
        if not isinstance(amount, dict) or type(amount.get("value")) is not int:
            raise invalid("Invalid amount specified")
        if not 0 < amount["value"] < AMOUNT_LIMIT:
            raise invalid("Invalid amount specified")
        currency, account = amount.get("currency"), document.get("merchantAccount")
        if not isinstance(currency, str) or len(currency) != 3 or not currency.isalpha():
            raise invalid("Invalid currency specified")
        if not isinstance(account, str) or not account:
            raise invalid("Invalid Merchant Account")
        if reference is not None and (not isinstance(reference, str) or len(reference) > REFERENCE_LENGTH):
            raise invalid(f"A reference has up to {REFERENCE_LENGTH} characters")
        return cls(payment, amount["value"], currency.upper(), account, reference or None)

    def refund(self, refund_id: str, status: str) -> Refund:
        return new_refund(
            amount=self.amount,
            currency=self.currency.lower(),
            payment_intent=self.payment,
            metadata={"reference": self.reference} if self.reference else {},
            refund_id=refund_id,
            status=status,
        )


def report_entry(refund: Refund) -> Mapping[str, Any]:
    return {
        "pspReference": refund["id"],
        "paymentPspReference": payment_of(refund),
        "merchantReference": reference_of(refund),
        "amount": {"value": refund["amount"], "currency": refund["currency"].upper()},
        "status": _STATUS[refund["status"]],
        "reason": refund.get("failure_reason"),
        "createdAt": refund["created"],
    }


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise invalid("The request is not JSON") from error
    if not isinstance(document, dict):
        raise invalid("The request is not an object")
    return document
