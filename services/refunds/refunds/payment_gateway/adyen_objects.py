"""Adyen's objects as those of the port: amounts, refunds of a report, and signed notifications."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from common.money import minor_digits, quantize

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

# https://docs.adyen.com/development-resources/currency-codes: where Adyen's decimals are not those of ISO 4217.
_DIGITS = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}
# https://docs.adyen.com/api-explorer/Checkout/71/post/payments/(paymentPspReference)/refunds
_REFERENCE_LENGTH = 80
_STATUS = {"refunded": GatewayRefundStatus.SUCCEEDED, "failed": GatewayRefundStatus.FAILED}
# The success of a refund was taken back, or the amount came back to us.
_TAKEN_BACK = ("REFUND_FAILED", "REFUNDED_REVERSED")
_DISPUTE_STATUS = {
    "NOTIFICATION_OF_CHARGEBACK": DisputeStatus.OPENED,
    "CHARGEBACK": DisputeStatus.OPENED,
    "CHARGEBACK_REVERSED": DisputeStatus.WON,
    "SECOND_CHARGEBACK": DisputeStatus.LOST,
}
_SIGNED = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")


def minor_units(amount: Decimal, currency: str) -> int:
    """The amount in Adyen's units. Raises `ValueError` for an amount that has no exact value there."""
    units = amount.scaleb(_digits(currency))
    if units != units.to_integral_value():
        raise ValueError(f"{amount} has more decimals than Adyen's {currency}")
    return int(units)


def major_units(units: int, currency: str) -> Decimal:
    """The inverse of `minor_units`. Raises `ValueError` for an unknown currency."""
    return quantize(Decimal(units).scaleb(-_digits(currency)), currency)


def merchant_reference(reference: str) -> str:
    """Our reference as Adyen stores it: shortened to a digest if it is too long."""
    if len(reference) <= _REFERENCE_LENGTH:
        return reference
    return f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"


def read_refund(entry: Mapping[str, Any]) -> GatewayRefund:
    """A refund of the report."""
    amount = entry["amount"]
    return GatewayRefund(
        id=entry["pspReference"],
        status=_STATUS.get(entry["status"], GatewayRefundStatus.PENDING),
        reference=entry["merchantReference"] or None,
        payment_reference=entry["paymentPspReference"],
        amount=major_units(amount["value"], amount["currency"]),
        currency=amount["currency"],
        reason=entry["reason"],
        created_at=datetime.fromtimestamp(entry["createdAt"], UTC),
    )


def read_item(item: Mapping[str, Any]) -> GatewayEvent | None:
    """A notification; None for a code that we do not need."""
    code = item["eventCode"]
    try:
        kind = _kind_of(code, item)
    except (KeyError, TypeError, ValueError) as error:
        kind = Unreadable(f"{code}: {error!r}")
    # A notification has no id; Adyen names these members for the recognition of repeats.
    event_id = f"{item['pspReference']}:{code}:{item['success']}"
    return None if kind is None else GatewayEvent(event_id, kind, _instant(item))


def read_signed(body: bytes, secret: str) -> GatewayEvent | None:
    """The event of a webhook, which contains its signature.

    The signature does not cover a time: only its id shows that an event is a repeat. Raises `ForgedWebhook`.
    """
    try:
        (wrapper,) = msgspec.json.decode(body)["notificationItems"]
        item = wrapper["NotificationRequestItem"]
        given, expected = item["additionalData"]["hmacSignature"], _signature(item, secret)
        is_genuine = hmac.compare_digest(expected, given.encode())
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ForgedWebhook(f"not a notification with one signed item: {error!r}") from error
    if not secret:
        raise ForgedWebhook("webhooks cannot be verified: PAYMENT_WEBHOOK_SECRET is not set")
    if not is_genuine:
        raise ForgedWebhook("the signature does not belong to this item")
    return read_item(item)


def _kind_of(code: str, item: Mapping[str, Any]) -> RefundChanged | PaymentDisputed | Unreadable | None:
    if code == "REFUND":
        succeeded = item["success"] == "true"
        return RefundChanged(
            _refund_of(item, GatewayRefundStatus.SUCCEEDED if succeeded else GatewayRefundStatus.FAILED)
        )
    if code in _TAKEN_BACK:
        return RefundChanged(_refund_of(item, GatewayRefundStatus.FAILED))
    return _dispute(item, _DISPUTE_STATUS[code]) if code in _DISPUTE_STATUS else None


def _signature(item: Mapping[str, Any], secret: str) -> bytes:
    """https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures"""
    amount = item["amount"]
    fields = [
        *(item[name] for name in _SIGNED),
        amount["value"],
        amount["currency"],
        item["eventCode"],
        item["success"],
    ]
    signed = ":".join(str(field) for field in fields).encode()
    return base64.b64encode(hmac.new(bytes.fromhex(secret), signed, hashlib.sha256).digest())


def _refund_of(item: Mapping[str, Any], status: GatewayRefundStatus) -> GatewayRefund:
    amount = item["amount"]
    return GatewayRefund(
        id=item["pspReference"],
        status=status,
        reference=item["merchantReference"] or None,
        payment_reference=item["originalReference"],
        amount=major_units(amount["value"], amount["currency"]),
        currency=amount["currency"],
        reason=item["reason"] or None,
        created_at=_instant(item),
    )


def _dispute(item: Mapping[str, Any], status: DisputeStatus) -> PaymentDisputed:
    amount, payment = item["amount"], item["originalReference"]
    major = major_units(amount["value"], amount["currency"])
    return PaymentDisputed(item["pspReference"], payment, major, amount["currency"], status, item["reason"] or None)


def _instant(item: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(item["eventDate"])


def _digits(currency: str) -> int:
    return _DIGITS[currency] if currency in _DIGITS else minor_digits(currency)
