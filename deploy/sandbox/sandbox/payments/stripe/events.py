"""Events in Stripe's format (https://docs.stripe.com/api/events), and the signature of its webhooks."""

import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from sandbox.payments.dialect import Dispute, Event, Webhook
from sandbox.payments.ledger import Ledger
from sandbox.payments.refund import Refund, payment_of

API_VERSION = "2026-10-28.preview"
_DISPUTE_STATUS = {"opened": "needs_response", "won": "won", "lost": "lost"}


class StripeDialect:
    """Every change is an event, also of a refund that ends with the answer to its request."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def refund_made(self, refund: Refund) -> list[Event]:
        payment = payment_of(refund)
        charge = self._charge(payment, refund["currency"])
        return [_event("refund.created", payment, refund), _event("charge.refunded", payment, charge)]

    def refund_changed(self, refund: Refund, previous_status: str) -> list[Event]:
        payment, previous = payment_of(refund), {"status": previous_status}
        events = [_event("refund.updated", payment, refund, previous)]
        return events + ([_event("refund.failed", payment, refund)] if refund["status"] == "failed" else [])

    def dispute_changed(self, dispute: Dispute) -> list[Event]:
        """https://docs.stripe.com/api/disputes/object"""
        kind = "created" if dispute.status == "opened" else "closed"
        charge, payment_intent = _ids(dispute.payment)
        document = {
            "id": dispute.id,
            "object": "dispute",
            "amount": dispute.amount,
            "charge": charge,
            "created": int(dispute.created),
            "currency": dispute.currency,
            "is_charge_refundable": False,
            "livemode": False,
            "metadata": {},
            "payment_intent": payment_intent,
            "reason": dispute.reason,
            "status": _DISPUTE_STATUS[dispute.status],
        }
        return [_event(f"charge.dispute.{kind}", dispute.payment, document)]

    def forged(self, document: dict[str, Any]) -> dict[str, Any]:
        content = document["data"]["object"] | {"status": "failed", "failure_reason": "forged"}
        return document | {"id": f"{document['id']}_forged", "type": "refund.failed", "data": {"object": content}}

    def webhook(self, document: dict[str, Any], secret: str) -> Webhook:
        """https://docs.stripe.com/webhooks/signature"""
        body, timestamp = json.dumps(document, indent=2).encode(), int(time.time())
        signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Stripe-Signature": f"t={timestamp},v1={signature}"}
        return Webhook(headers, body)

    def _charge(self, payment: str, currency: str) -> dict[str, Any]:
        """A charge with what was refunded of it so far."""
        charge, payment_intent = _ids(payment)
        capture, refunded = self._ledger.capture(payment), self._ledger.refunded(payment)
        amount = capture.amount if capture is not None else refunded
        return {
            "id": charge,
            "object": "charge",
            "amount": amount,
            "amount_captured": amount,
            "amount_refunded": refunded,
            "currency": currency,
            "livemode": False,
            "metadata": {},
            "payment_intent": payment_intent,
            "refunded": refunded >= amount,
            "status": "succeeded",
        }


def _ids(payment: str) -> tuple[str, str | None]:
    """Of the charge and of the payment intent."""
    is_charge = payment.startswith(("ch_", "py_"))
    return payment if is_charge else f"ch_of_{payment}", None if is_charge else payment


def _event(event_type: str, payment: str, content: dict[str, Any], previous: dict[str, Any] | None = None) -> Event:
    event_id, created = f"evt_{secrets.token_hex(12)}", time.time()
    document = {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": int(created),
        "data": {"object": content} | ({} if previous is None else {"previous_attributes": previous}),
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
    }
    return Event(event_id, event_type, payment, created, document)
