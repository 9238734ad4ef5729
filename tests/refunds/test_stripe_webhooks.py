"""Webhooks of Stripe: their signature over the raw body, their age, and what each type says."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from refunds.payment_gateway.port import (
    DisputeStatus,
    ForgedWebhook,
    GatewayEvent,
    GatewayRefundStatus,
    PaymentDisputed,
    RefundChanged,
    Unreadable,
)
from refunds.payment_gateway.stripe import StripeGateway

SECRET = "whsec_test"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
REFUND = {
    "id": "re_1",
    "object": "refund",
    "status": "succeeded",
    "amount": 7906,
    "currency": "eur",
    "payment_intent": "pi_1",
    "charge": "ch_1",
    "created": 1_796_000_000,
    "metadata": {"reference": "return:1"},
}
DISPUTE = {
    "id": "du_1",
    "object": "dispute",
    "status": "needs_response",
    "reason": "fraudulent",
    "amount": 7906,
    "currency": "eur",
    "payment_intent": "pi_1",
}


def body_of(kind: str, subject: dict[str, Any]) -> bytes:
    return json.dumps({"id": "evt_1", "type": kind, "created": 1_796_000_000, "data": {"object": subject}}).encode()


def signature(body: bytes, secret: str = SECRET, at: datetime = NOW) -> str:
    return hmac.new(secret.encode(), f"{at.timestamp():.0f}.".encode() + body, hashlib.sha256).hexdigest()


def read(body: bytes, *signatures: str, signed_at: datetime = NOW, secret: str = SECRET) -> GatewayEvent | None:
    gateway = StripeGateway("https://api.stripe.com", "sk_test_1", webhook_secret=secret)
    header = ",".join([f"t={signed_at.timestamp():.0f}", *(f"v1={each}" for each in signatures)])
    return gateway.read_webhook({"stripe-signature": header}, body, NOW)


@pytest.mark.parametrize("kind", ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"])
def test_a_changed_refund_is_read(kind: str) -> None:
    body = body_of(kind, REFUND)
    event = read(body, signature(body))
    assert event is not None
    assert event.id == "evt_1"
    assert isinstance(event.kind, RefundChanged)
    refund = event.kind.refund
    assert (refund.id, refund.status, refund.reference) == ("re_1", GatewayRefundStatus.SUCCEEDED, "return:1")
    assert (refund.payment_reference, refund.amount, refund.currency) == ("pi_1", Decimal("79.06"), "EUR")


def test_a_charge_that_was_refunded_by_hand_shows_its_newest_refund() -> None:
    older = REFUND | {"id": "re_0", "created": 1, "metadata": {}}
    body = body_of("charge.refunded", {"id": "ch_1", "refunds": {"data": [older, REFUND | {"metadata": {}}]}})
    event = read(body, signature(body))
    assert event is not None
    assert isinstance(event.kind, RefundChanged)
    assert (event.kind.refund.id, event.kind.refund.reference) == ("re_1", None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("needs_response", DisputeStatus.OPENED),
        ("under_review", DisputeStatus.OPENED),
        ("won", DisputeStatus.WON),
        ("lost", DisputeStatus.LOST),
    ],
)
def test_a_dispute_is_read(status: str, expected: DisputeStatus) -> None:
    body = body_of("charge.dispute.updated", DISPUTE | {"status": status})
    event = read(body, signature(body))
    assert event is not None
    assert event.kind == PaymentDisputed("du_1", "pi_1", Decimal("79.06"), "EUR", expected, "fraudulent")


@pytest.mark.parametrize(
    ("kind", "subject"),
    [("customer.created", {}), ("charge.refunded", {"id": "ch_1"}), ("charge.dispute.created", {"status": "warning"})],
)
def test_an_event_that_says_nothing_about_our_money_is_ignored(kind: str, subject: dict[str, Any]) -> None:
    body = body_of(kind, subject)
    assert read(body, signature(body)) is None


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("refund.updated", REFUND | {"currency": "zzz"}),
        ("refund.updated", {"id": "re_1"}),
        ("charge.dispute.created", DISPUTE | {"amount": None}),
    ],
)
def test_an_event_about_our_money_that_cannot_be_read_is_kept_for_people(kind: str, subject: dict[str, Any]) -> None:
    body = body_of(kind, subject)
    event = read(body, signature(body))
    assert event is not None
    assert isinstance(event.kind, Unreadable)
    assert event.kind.error.startswith(kind)


def test_an_event_about_a_payment_has_its_charge_as_another_id() -> None:
    refund, dispute = body_of("refund.updated", REFUND), body_of("charge.dispute.created", DISPUTE | {"charge": "ch_1"})
    changed, disputed = read(refund, signature(refund)), read(dispute, signature(dispute))
    assert changed is not None
    assert isinstance(changed.kind, RefundChanged)
    assert changed.kind.refund.payment_alias == "ch_1"
    assert disputed is not None
    assert isinstance(disputed.kind, PaymentDisputed)
    assert disputed.kind.payment_alias == "ch_1"


def test_one_valid_signature_of_several_is_enough() -> None:
    """While a secret is replaced, Stripe signs with the old and the new one."""
    body = body_of("refund.updated", REFUND)
    assert read(body, signature(body, "whsec_old"), signature(body)) is not None


def test_a_forged_webhook_is_refused() -> None:
    body = body_of("refund.updated", REFUND)
    for signatures in [(), ("",), ("é",), (signature(body, "whsec_other"),), (signature(body + b" "),)]:
        with pytest.raises(ForgedWebhook):
            read(body, *signatures)
    with pytest.raises(ForgedWebhook, match="not set"):
        read(body, signature(body, ""), secret="")
    gateway = StripeGateway("https://api.stripe.com", "sk_test_1", webhook_secret=SECRET)
    for header in ["", "t=,v1=0", "t=1,t=2,v1=0", "t=²,v1=0", f"v1={signature(body)}"]:
        with pytest.raises(ForgedWebhook):
            gateway.read_webhook({"stripe-signature": header}, body, NOW)
    with pytest.raises(ForgedWebhook):
        gateway.read_webhook({}, body, NOW)


@pytest.mark.parametrize(("seconds", "is_accepted"), [(300, True), (301, False), (-301, False)])
def test_a_webhook_is_accepted_for_five_minutes(seconds: int, is_accepted: bool) -> None:
    body, signed_at = body_of("refund.updated", REFUND), NOW - timedelta(seconds=seconds)
    if is_accepted:
        assert read(body, signature(body, at=signed_at), signed_at=signed_at) is not None
    else:
        with pytest.raises(ForgedWebhook, match="300 seconds"):
            read(body, signature(body, at=signed_at), signed_at=signed_at)
