"""Notifications in Adyen's format (https://docs.adyen.com/development-resources/webhooks), with their signature."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from sandbox.payments.dialect import Dispute, Event, Webhook
from sandbox.payments.refund import Refund, payment_of, reference_of

MERCHANT_ACCOUNT = "ArtiCurated"
_DISPUTE_CODES = {"opened": "NOTIFICATION_OF_CHARGEBACK", "won": "CHARGEBACK_REVERSED", "lost": "SECOND_CHARGEBACK"}


class AdyenDialect:
    """Each request for a refund is answered with `received`; a notification reports the result."""

    def refund_made(self, refund: Refund) -> list[Event]:
        """None for a refund that is `received`: Adyen sends no notification before the result."""
        return [] if refund["status"] == "pending" else [_refund_event("REFUND", refund)]

    def refund_changed(self, refund: Refund, previous_status: str) -> list[Event]:
        is_reversed = previous_status == "succeeded" and refund["status"] == "failed"
        return [_refund_event("REFUND_FAILED" if is_reversed else "REFUND", refund)]

    def dispute_changed(self, dispute: Dispute) -> list[Event]:
        item = _item(dispute.id, dispute.payment, None, dispute.amount, dispute.currency)
        return [_event(dispute.payment, item | {"eventCode": _DISPUTE_CODES[dispute.status], "reason": dispute.reason})]

    def forged(self, document: dict[str, Any]) -> dict[str, Any]:
        return document | {"eventCode": "REFUND", "success": "false", "reason": "forged"}

    def webhook(self, document: dict[str, Any], secret: str) -> Webhook:
        """`secret` is hexadecimal. Raises ValueError if it is not."""
        item = document | {"additionalData": {"hmacSignature": signature(document, secret)}}
        body = {"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}
        return Webhook({"Content-Type": "application/json"}, json.dumps(body).encode())


def signature(item: dict[str, Any], secret: str) -> str:
    """https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures"""
    amount = item.get("amount", {})
    fields = [item.get(name) for name in ("pspReference", "originalReference", "merchantAccountCode")]
    fields += [item.get("merchantReference"), amount.get("value"), amount.get("currency")]
    fields += [item.get("eventCode"), item.get("success")]
    signed = ":".join("" if field is None else str(field) for field in fields)
    return base64.b64encode(hmac.new(bytes.fromhex(secret), signed.encode(), hashlib.sha256).digest()).decode()


def _refund_event(code: str, refund: Refund) -> Event:
    payment, is_failure = payment_of(refund), refund["status"] in ("failed", "canceled")
    item = _item(refund["id"], payment, reference_of(refund), refund["amount"], refund["currency"])
    succeeds = code != "REFUND" or not is_failure
    reason = refund.get("failure_reason", "") if is_failure else ""
    return _event(payment, item | {"eventCode": code, "success": str(succeeds).lower(), "reason": reason})


def _item(psp_reference: str, payment: str, reference: str | None, amount: int, currency: str) -> dict[str, Any]:
    return {
        "amount": {"value": amount, "currency": currency.upper()},
        "eventDate": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "merchantAccountCode": MERCHANT_ACCOUNT,
        "merchantReference": reference or "",
        "originalReference": payment,
        "paymentMethod": "visa",
        "pspReference": psp_reference,
        "success": "true",
    }


def _event(payment: str, item: dict[str, Any]) -> Event:
    return Event(f"ntf_{secrets.token_hex(12)}", item["eventCode"], payment, time.time(), item)
