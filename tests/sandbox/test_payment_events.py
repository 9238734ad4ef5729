"""What the payment provider of the sandbox does later or by itself, its events, and its webhooks."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import stripe
from support.payments.sandbox import PaymentSandbox
from support.payments.webhook_receiver import WebhookReceiver, webhook_receiver
from support.waiting import eventually, eventually_true

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

SECRET = "whsec_test"


@pytest.fixture
def sandbox(payments_url: str) -> PaymentSandbox:
    return PaymentSandbox(payments_url)


@pytest_asyncio.fixture
async def receiver(sandbox: PaymentSandbox) -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as running:
        await sandbox.send_webhooks(running.url, SECRET)
        yield running
        await sandbox.send_no_webhooks()


async def refund(payments: httpx.AsyncClient, payment: str) -> dict[str, Any]:
    response = await payments.post("/v1/refunds", data={"payment_intent": payment, "amount": 100})
    document: dict[str, Any] = response.json()
    return document


async def events_of(payments: httpx.AsyncClient, payment: str, **query: Any) -> list[tuple[str, str | None]]:
    """Type and status of each event of a payment, oldest first."""
    page = (await payments.get("/v1/events", params={"limit": 100} | query)).json()
    objects = [(event["type"], event["data"]["object"]) for event in reversed(page["data"])]
    return [(kind, each.get("status")) for kind, each in objects if each["payment_intent"] == payment]


def received(receiver: WebhookReceiver) -> list[str]:
    return [json.loads(body)["type"] for _, body in receiver.requests]


async def test_a_pending_refund_succeeds_or_fails_later(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str
) -> None:
    await sandbox.fail("pending", payment=order_payment, then="succeeded", delay_seconds=0.2)
    await sandbox.fail("pending", payment=order_payment, then="failed", delay_seconds=0.2)
    first, second = await refund(payments, order_payment), await refund(payments, order_payment)
    assert (first["status"], second["status"]) == ("pending", "pending")

    async def are_final() -> bool:
        return [each["status"] for each in await sandbox.refunds(order_payment)] == ["succeeded", "failed"]

    await eventually(are_final)
    assert [event for event in await events_of(payments, order_payment) if event[0] != "charge.refunded"] == [
        ("refund.created", "pending"),
        ("refund.created", "pending"),
        ("refund.updated", "succeeded"),
        ("refund.updated", "failed"),
        ("refund.failed", "failed"),
    ]


async def test_a_success_is_reversed_and_its_amount_can_be_refunded_again(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str
) -> None:
    await sandbox.declare_capture(order_payment, 100, "USD")
    assert (await refund(payments, order_payment))["status"] == "succeeded"
    (made,) = await sandbox.refunds(order_payment)
    await sandbox.set_status(made["id"], "failed", "lost_or_stolen_card")

    (reversed_refund,) = await sandbox.refunds(order_payment)
    assert (reversed_refund["status"], reversed_refund["failure_reason"]) == ("failed", "lost_or_stolen_card")
    assert (await refund(payments, order_payment))["status"] == "succeeded"


async def test_a_refund_by_hand_has_no_reference_and_is_bounded_by_the_capture(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str
) -> None:
    await sandbox.declare_capture(order_payment, 500, "EUR")
    part = await sandbox.refund_by_hand(order_payment, 200)
    rest = await sandbox.refund_by_hand(order_payment)

    assert (part["metadata"], part["amount"], rest["amount"], rest["currency"]) == ({}, 200, 300, "eur")
    assert (
        await events_of(payments, order_payment)
        == [
            ("refund.created", "succeeded"),
            ("charge.refunded", "succeeded"),
        ]
        * 2
    )
    beyond = await payments.post("/sandbox/dashboard/refunds", json={"payment": order_payment, "amount": 1})
    assert beyond.status_code == 400


async def test_a_disputed_payment_is_not_refunded_until_the_dispute_is_won(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str
) -> None:
    await sandbox.dispute(order_payment, "opened", amount=100)
    assert (await refund(payments, order_payment))["error"]["code"] == "charge_disputed"
    await sandbox.dispute(order_payment, "won")
    assert (await refund(payments, order_payment))["status"] == "succeeded"
    assert [event for event in await events_of(payments, order_payment) if "dispute" in event[0]] == [
        ("charge.dispute.created", "needs_response"),
        ("charge.dispute.closed", "won"),
    ]
    not_open = await payments.post("/sandbox/disputes", json={"payment": order_payment, "status": "lost"})
    assert not_open.status_code == 404


async def test_lists_show_a_refund_only_after_the_lag(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str
) -> None:
    await sandbox.fail("lookup_lag", payment=order_payment, delay_seconds=0.5)
    made = await refund(payments, order_payment)
    query = {"payment_intent": order_payment, "created[gte]": str(made["created"])}

    async def listed() -> list[str]:
        return [each["id"] for each in (await payments.get("/v1/refunds", params=query)).json()["data"]]

    assert await listed() == []

    async def is_listed() -> bool:
        return await listed() == [made["id"]]

    await eventually(is_listed)


async def test_an_expired_key_makes_another_refund(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str
) -> None:
    async def with_key() -> httpx.Response:
        form = {"payment_intent": order_payment, "amount": 100}
        return await payments.post("/v1/refunds", data=form, headers={"Idempotency-Key": order_payment})

    first = await with_key()
    await sandbox.expire_keys(order_payment)
    second = await with_key()
    assert first.json()["id"] != second.json()["id"]
    assert "Idempotent-Replayed" not in second.headers


@pytest.mark.parametrize(
    ("mode", "status", "made"),
    [("conflict", 409, 0), ("unavailable", 503, 0), ("fail_after_apply", 500, 1), ("key_reused", 400, 0)],
)
async def test_an_error_response_says_nothing_about_the_effect(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str, mode: str, status: int, made: int
) -> None:
    await sandbox.fail(mode, payment=order_payment)
    response = await payments.post("/v1/refunds", data={"payment_intent": order_payment, "amount": 100})
    assert response.status_code == status
    assert len(await sandbox.refunds(order_payment)) == made


async def test_a_rate_limit_says_when_to_come_again(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str
) -> None:
    await sandbox.fail("rate_limit", payment=order_payment, retry_after_seconds=7)
    response = await payments.post("/v1/refunds", data={"payment_intent": order_payment, "amount": 100})
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")


async def test_events_are_paged_in_both_directions_by_stripes_sdk(
    stripe_client: stripe.StripeClient, payments: httpx.AsyncClient, order_payment: str
) -> None:
    await refund(payments, order_payment)
    first = (await stripe_client.v1.events.list_async({"limit": 1})).data[0]
    for _ in range(3):
        await refund(payments, order_payment)

    newer = await stripe_client.v1.events.list_async({"limit": 2, "ending_before": first.id})
    types = [event.type async for event in newer.auto_paging_iter()]
    created = await stripe_client.v1.events.list_async({"limit": 2, "types": ["refund.created"]})
    ids = [event.data.object["payment_intent"] async for event in created.auto_paging_iter()]

    assert types == ["refund.created", "charge.refunded"] * 3
    assert ids.count(order_payment) == 4
    assert (await stripe_client.v1.events.retrieve_async(first.id)).id == first.id


async def test_a_webhook_is_signed_and_repeated_until_it_is_accepted(
    payments: httpx.AsyncClient, receiver: WebhookReceiver, order_payment: str
) -> None:
    receiver.statuses = [503]
    await refund(payments, order_payment)
    await eventually_true(lambda: len(receiver.requests) == 3)

    assert sorted(received(receiver)) == ["charge.refunded", "refund.created", "refund.created"]
    for headers, body in receiver.requests:
        event = stripe.Webhook.construct_event(body, headers["stripe-signature"], SECRET)
        assert event.data.object["payment_intent"] == order_payment


async def test_webhooks_are_held_released_lost_and_repeated(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, receiver: WebhookReceiver, order_payment: str
) -> None:
    await sandbox.fail("webhook_held", 1, order_payment)
    await sandbox.fail("webhook_lost", 1, order_payment)
    await sandbox.fail("webhook_twice", 1, order_payment)
    await refund(payments, order_payment)
    await refund(payments, order_payment)
    await eventually_true(lambda: len(receiver.requests) == 3)
    assert received(receiver) == ["refund.created", "refund.created", "charge.refunded"]

    await sandbox.release_webhooks(order_payment)
    await eventually_true(lambda: len(receiver.requests) == 4)
    assert received(receiver)[-1] == "refund.created"


async def test_webhooks_come_out_of_order_and_before_the_answer(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, receiver: WebhookReceiver, order_payment: str
) -> None:
    await sandbox.fail("webhook_before_answer", 1, order_payment)
    await sandbox.fail("webhook_out_of_order", 1, order_payment)
    await refund(payments, order_payment)
    assert received(receiver)[0] == "charge.refunded"
    await eventually_true(lambda: received(receiver) == ["charge.refunded", "refund.created"])


async def test_a_forged_webhook_claims_a_failure_and_has_no_valid_signature(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, receiver: WebhookReceiver, order_payment: str
) -> None:
    await sandbox.fail("webhook_forged", 1, order_payment)
    await refund(payments, order_payment)
    await eventually_true(lambda: len(receiver.requests) == 3)

    (headers, body), *_ = receiver.requests
    timestamp, _, signature = headers["stripe-signature"].removeprefix("t=").partition(",v1=")
    assert json.loads(body)["data"]["object"]["status"] == "failed"
    expected = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert signature != expected


async def test_an_unfinished_change_and_an_undelivered_webhook_survive_kill_9(
    start_program: Any, tmp_path: Path, order_payment: str
) -> None:
    process, addresses = start_program("payments", tmp_path, port=0)
    sandbox = PaymentSandbox(f"http://{addresses['http']}")
    await sandbox.send_webhooks("http://127.0.0.1:9/unreachable", SECRET)
    await sandbox.fail("pending", payment=order_payment, then="succeeded", delay_seconds=0.5)
    async with httpx.AsyncClient(base_url=sandbox.url, headers={"Authorization": "Bearer x"}) as client:
        await refund(client, order_payment)
    process.kill()
    process.wait()

    _, addresses = start_program("payments", tmp_path, port=0)
    sandbox = PaymentSandbox(f"http://{addresses['http']}")
    async with webhook_receiver() as receiver:
        await sandbox.send_webhooks(receiver.url, SECRET)
        await eventually_true(lambda: len(receiver.requests) == 3)
    (made,) = await sandbox.refunds(order_payment)
    assert made["status"] == "succeeded"


async def test_webhooks_can_be_sent_from_the_start(
    start_program: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order_payment: str
) -> None:
    monkeypatch.setenv("PAYMENT_WEBHOOK_SECRET", "5b" * 32)
    async with webhook_receiver() as receiver:
        _, addresses = start_program("payments", tmp_path, port=0, webhook_url=f"{receiver.url}/{{provider}}")
        for dialect in ("", "/adyen"):
            await PaymentSandbox(f"http://{addresses['http']}{dialect}").refund_by_hand(order_payment, 100)
        await eventually_true(lambda: len(receiver.requests) == 3)
    assert sorted(receiver.paths) == ["/webhooks/adyen", "/webhooks/stripe", "/webhooks/stripe"]
