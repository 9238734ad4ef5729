"""Stripe's objects as those of the port: amounts, refunds, events and signed webhooks."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from common.money import fits, minor_digits, quantize

from refunds.payment_gateway.port import (
    DisputeStatus,
    ForgedWebhook,
    GatewayEvent,
    GatewayRefund,
    GatewayRefundStatus,
    PaymentDisputed,
    RefundChanged,
    Unreadable,
)

# In `metadata` of a refund.
REFERENCE = "reference"
# The age at which a webhook counts as replayed by somebody else.
TOLERANCE_SECONDS = 300
REFUND_EVENTS = ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated", "charge.refunded")
DISPUTE_EVENTS = ("charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed")

_STATUS = {
    "succeeded": GatewayRefundStatus.SUCCEEDED,
    "failed": GatewayRefundStatus.FAILED,
    "canceled": GatewayRefundStatus.FAILED,
}
# Inquiries (`warning_…`) take no money and do not prevent a refund.
_DISPUTE_STATUS = {
    "needs_response": DisputeStatus.OPENED,
    "under_review": DisputeStatus.OPENED,
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
}


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount in Stripe's units, which are not always those of ISO 4217 (https://docs.stripe.com/currencies).

    ISK and UGX have no decimals but are counted in hundredths, MGA has fifths but is counted in whole ariary, and of
    currencies with three decimals the last must be 0. Raises `ValueError` for an amount that has no exact value there.
    """
    if currency == "MGA":
        if amount != amount.to_integral_value():
            raise ValueError(f"Stripe refunds whole MGA only, not {amount}")
        return int(amount)
    if not fits(amount, currency):
        raise ValueError(f"{amount} has more decimals than {currency}")
    units = int(amount.scaleb(minor_digits(currency)))
    if currency in {"ISK", "UGX"}:
        return units * 100
    if minor_digits(currency) == 3 and units % 10 != 0:
        raise ValueError(f"Stripe refunds {currency} with two decimals only, not {amount}")
    return units


def major_units(units: int, currency: str) -> Decimal:
    """The inverse of `minor_units`. Raises `ValueError` for an unknown currency."""
    digits = {"MGA": 0, "ISK": 2, "UGX": 2}.get(currency)
    amount = Decimal(units).scaleb(-(minor_digits(currency) if digits is None else digits))
    return quantize(amount, currency)


def read_refund(refund: Mapping[str, Any]) -> GatewayRefund:
    currency = str(refund["currency"]).upper()
    return GatewayRefund(
        id=refund["id"],
        # `pending` and `requires_action`: on its way.
        status=_STATUS.get(refund["status"], GatewayRefundStatus.PENDING),
        reference=(refund.get("metadata") or {}).get(REFERENCE),
        payment_reference=_payment_of(refund),
        amount=major_units(refund["amount"], currency),
        currency=currency,
        reason=refund.get("failure_reason"),
        created_at=_instant(refund["created"]),
        payment_alias=_alias_of(refund),
    )


def read_event(event: Mapping[str, Any]) -> GatewayEvent | None:
    """None for a type that we do not need."""
    try:
        changed = _kind_of(event["type"], event)
    except (KeyError, TypeError, ValueError) as error:
        changed = Unreadable(f"{event['type']}: {error!r}")
    return None if changed is None else GatewayEvent(event["id"], changed, _instant(event["created"]))


def read_signed(headers: Mapping[str, str], body: bytes, now: datetime, secret: str) -> GatewayEvent | None:
    """The event of a webhook (https://docs.stripe.com/webhooks#verify-manually). Raises `ForgedWebhook`."""
    pairs = [item.strip().partition("=") for item in headers.get("stripe-signature", "").split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or not times[0].isascii() or not times[0].isdigit() or len(times[0]) > 12:
        raise ForgedWebhook("the webhook has no valid header Stripe-Signature")
    if not secret:
        raise ForgedWebhook("webhooks cannot be verified: PAYMENT_WEBHOOK_SECRET is not set")
    expected = hmac.new(secret.encode(), times[0].encode() + b"." + body, hashlib.sha256).hexdigest().encode()
    given = [value.encode() for name, _, value in pairs if name == "v1"]
    if not any(hmac.compare_digest(expected, each) for each in given):
        raise ForgedWebhook("the signature does not belong to this body")
    if abs(now.timestamp() - int(times[0])) > TOLERANCE_SECONDS:
        raise ForgedWebhook(f"the webhook was signed more than {TOLERANCE_SECONDS} seconds ago")
    return read_event(msgspec.json.decode(body))


def _kind_of(type_name: str, event: Mapping[str, Any]) -> RefundChanged | PaymentDisputed | Unreadable | None:
    if type_name in REFUND_EVENTS:
        return _changed_refund(type_name, event["data"]["object"])
    return _dispute(event["data"]["object"]) if type_name in DISPUTE_EVENTS else None


def _changed_refund(kind: str, subject: Mapping[str, Any]) -> RefundChanged | None:
    """Of a charge, its newest refund. Charges of newer API versions do not contain their refunds: there, the event
    `refund.created` of the same refund does."""
    if kind != "charge.refunded":
        return RefundChanged(read_refund(subject))
    refunds = (subject.get("refunds") or {}).get("data") or ()
    return RefundChanged(read_refund(max(refunds, key=lambda each: each["created"]))) if refunds else None


def _dispute(dispute: Mapping[str, Any]) -> PaymentDisputed | None:
    status = _DISPUTE_STATUS.get(dispute["status"])
    if status is None:
        return None
    currency = str(dispute["currency"]).upper()
    amount = major_units(dispute["amount"], currency)
    return PaymentDisputed(
        dispute["id"],
        _payment_of(dispute),
        amount,
        currency,
        status,
        dispute.get("reason"),
        payment_alias=_alias_of(dispute),
    )


def _payment_of(subject: Mapping[str, Any]) -> str:
    return str(subject.get("payment_intent") or subject.get("charge"))


def _alias_of(subject: Mapping[str, Any]) -> str | None:
    """The id of the charge, by which the payment may have been reported to us instead of its payment intent."""
    return subject.get("charge") if subject.get("payment_intent") else None


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
