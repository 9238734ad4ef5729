"""What every adapter of a payment provider must do: webhooks and their signatures, and the sweep over events."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from refunds.payment_gateway.port import (
    DisputeStatus,
    ForgedWebhook,
    GatewayEvent,
    GatewayRefundStatus,
    PaymentDisputed,
    RefundCall,
    RefundChanged,
)
from support.payments.dialects import Provider
from support.payments.webhook_receiver import WebhookReceiver
from support.waiting import eventually, eventually_true

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


def statuses(events: list[GatewayEvent], payment: str) -> list[tuple[str | None, GatewayRefundStatus]]:
    """Reference and status of each refund in the events about a payment."""
    refunds = [event.kind.refund for event in events if isinstance(event.kind, RefundChanged)]
    return [(each.reference, each.status) for each in refunds if each.payment_reference == payment]


def disputes(events: list[GatewayEvent], payment: str) -> list[DisputeStatus]:
    kinds = [event.kind for event in events if isinstance(event.kind, PaymentDisputed)]
    return [each.status for each in kinds if each.payment_reference == payment]


def read(provider: Provider, headers: Mapping[str, str], body: bytes) -> GatewayEvent | None:
    return provider.gateway.read_webhook(headers, body, datetime.now(UTC))


async def received(provider: Provider, receiver: WebhookReceiver) -> list[GatewayEvent]:
    """The events of the genuine webhooks so far."""
    events = []
    for headers, body in receiver.requests:
        try:
            event = read(provider, headers, body)
        except ForgedWebhook:
            continue
        events += [] if event is None else [event]
    return events


async def test_a_webhook_reports_a_refund_and_its_end(
    provider: Provider, receiver: WebhookReceiver, call: RefundCall
) -> None:
    made = await provider.gateway.refund(call)

    async def is_reported() -> bool:
        events = await received(provider, receiver)
        return (call.reference, GatewayRefundStatus.SUCCEEDED) in statuses(events, call.payment_reference)

    await eventually(is_reported)
    event = (await received(provider, receiver))[-1]
    assert isinstance(event.kind, RefundChanged)
    assert (event.kind.refund.id, event.kind.refund.amount, event.kind.refund.currency) == (
        made.id,
        call.amount,
        call.currency,
    )


async def test_a_success_that_is_taken_back_is_a_failed_refund(
    provider: Provider, receiver: WebhookReceiver, call: RefundCall
) -> None:
    await provider.sandbox.fail("reversed", 1, call.payment_reference, delay_seconds=0.1)
    await provider.gateway.refund(call)

    async def is_taken_back() -> bool:
        seen = statuses(await received(provider, receiver), call.payment_reference)
        return GatewayRefundStatus.FAILED in [status for _, status in seen]

    await eventually(is_taken_back)
    seen = [status for _, status in statuses(await received(provider, receiver), call.payment_reference)]
    assert seen[0] is GatewayRefundStatus.SUCCEEDED
    assert seen[-1] is GatewayRefundStatus.FAILED


async def test_a_refund_by_hand_is_reported_without_a_reference(
    provider: Provider, receiver: WebhookReceiver, call: RefundCall
) -> None:
    await provider.sandbox.refund_by_hand(call.payment_reference, 1000)

    async def is_reported() -> bool:
        return bool(statuses(await received(provider, receiver), call.payment_reference))

    await eventually(is_reported)
    seen = statuses(await received(provider, receiver), call.payment_reference)
    assert seen == [(None, GatewayRefundStatus.SUCCEEDED)]


async def test_a_dispute_is_reported_when_it_is_opened_and_decided(
    provider: Provider, receiver: WebhookReceiver, call: RefundCall
) -> None:
    for status in ("opened", "won", "opened", "lost"):
        await provider.sandbox.dispute(call.payment_reference, status, amount=7906)
    await eventually_true(lambda: len(receiver.requests) == 4)

    events = await received(provider, receiver)
    assert disputes(events, call.payment_reference) == ["OPENED", "WON", "OPENED", "LOST"]
    kind = events[0].kind
    assert isinstance(kind, PaymentDisputed)
    assert (kind.amount, kind.currency, kind.reason) == (Decimal("79.06"), "EUR", "fraudulent")
    ids = [event.kind.dispute_id for event in events if isinstance(event.kind, PaymentDisputed)]
    assert ids[0] == ids[1] != ids[2] == ids[3]


async def test_a_forged_webhook_is_rejected_and_a_repeat_has_the_same_id(
    provider: Provider, receiver: WebhookReceiver, call: RefundCall
) -> None:
    await provider.sandbox.fail("webhook_forged", 1, call.payment_reference)
    await provider.sandbox.fail("webhook_twice", 1, call.payment_reference)
    await provider.sandbox.refund_by_hand(call.payment_reference, 100)
    await provider.sandbox.dispute(call.payment_reference, "opened", amount=7906)
    await eventually_true(lambda: len(receiver.requests) >= 4)

    with pytest.raises(ForgedWebhook):
        read(provider, *receiver.requests[0])
    ids = [event.id for event in await received(provider, receiver)]
    assert len(ids) - len(set(ids)) <= 1


@pytest.mark.parametrize("change", ["header", "body", "nothing", "no json"])
async def test_only_the_unchanged_webhook_of_the_provider_is_genuine(
    provider: Provider, receiver: WebhookReceiver, call: RefundCall, change: str
) -> None:
    await provider.sandbox.refund_by_hand(call.payment_reference, 1000)
    await eventually_true(lambda: len(receiver.requests) >= 1)
    headers, body = receiver.requests[0]
    match change:
        case "nothing":
            assert read(provider, headers, body) is not None
            return
        case "header":
            # A provider whose signature is in the body has none in the headers.
            headers, body = {}, body.replace(b'hmacSignature": "', b'hmacSignature": "A')
        case "body":
            body = body.replace(b"1000", b"9000")
        case "no json":
            body = b"\xff\xfe"
    with pytest.raises(ForgedWebhook):
        read(provider, headers, body)


async def test_without_a_secret_no_webhook_is_accepted(
    provider: Provider, receiver: WebhookReceiver, call: RefundCall
) -> None:
    await provider.sandbox.refund_by_hand(call.payment_reference, 1000)
    await eventually_true(lambda: len(receiver.requests) >= 1)
    gateway = provider.dialect.adapter(provider.sandbox.url, secret="")
    with pytest.raises(ForgedWebhook):
        gateway.read_webhook(*receiver.requests[0], datetime.now(UTC))
    await gateway.aclose()


async def test_a_sweep_finds_the_same_without_any_webhook(provider: Provider, call: RefundCall) -> None:
    _, cursor = await provider.gateway.events_since(None)
    await provider.sandbox.fail("reversed", 1, call.payment_reference, delay_seconds=0.1)
    await provider.gateway.refund(call)
    await provider.sandbox.dispute(call.payment_reference, "opened", amount=7906)
    await provider.sandbox.refund_by_hand(call.payment_reference, 100)

    async def is_complete() -> bool:
        events, _ = await provider.gateway.events_since(cursor)
        seen = statuses(events, call.payment_reference)
        return (call.reference, GatewayRefundStatus.FAILED) in seen

    await eventually(is_complete)
    events, next_cursor = await provider.gateway.events_since(cursor)
    seen = statuses(events, call.payment_reference)
    assert (call.reference, GatewayRefundStatus.SUCCEEDED) in seen
    assert (None, GatewayRefundStatus.SUCCEEDED) in seen
    assert disputes(events, call.payment_reference) == [DisputeStatus.OPENED]
    assert next_cursor is not None

    await provider.sandbox.dispute(call.payment_reference, "lost")
    newer, _ = await provider.gateway.events_since(next_cursor)
    assert DisputeStatus.LOST in disputes(newer, call.payment_reference)
