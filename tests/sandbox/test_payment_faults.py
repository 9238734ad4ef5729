"""Faults of the payment provider on demand; a refund is still made once."""

from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
import stripe
from support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

RefundVase = Callable[[], Coroutine[Any, Any, stripe.Refund]]


@pytest.fixture
def refund_vase(stripe_client: stripe.StripeClient, order_payment: str) -> RefundVase:
    """A function that requests the refund of one vase, always with the same key."""

    async def refund() -> stripe.Refund:
        return await stripe_client.v1.refunds.create_async(
            {"payment_intent": order_payment, "amount": 4550, "metadata": {"reference": f"return-of-{order_payment}"}},
            {"idempotency_key": f"refund-of-{order_payment}"},
        )

    return refund


async def set_fault(payments: httpx.AsyncClient, **fault: object) -> None:
    response = await payments.post("/sandbox/faults", json=fault)
    assert response.status_code == 201, response.text


async def ledger_of(payments: httpx.AsyncClient, payment: str) -> tuple[int, list[tuple[str, int | None]]]:
    """The number of refunds, and the outcome and status of each call."""
    ledger = (await payments.get("/sandbox/ledger", params={"payment": payment})).json()
    return len(ledger["refunds"]), [(call["outcome"], call["status"]) for call in ledger["calls"]]


async def test_a_failure_is_not_stored_so_that_the_same_key_succeeds_later(
    payments: httpx.AsyncClient, refund_vase: RefundVase, order_payment: str
) -> None:
    await set_fault(payments, mode="fail", times=2)

    for _ in range(2):
        with pytest.raises(stripe.APIError) as failure:
            await refund_vase()
        assert failure.value.http_status == 500
    await refund_vase()

    assert await ledger_of(payments, order_payment) == (1, [("failed", 500), ("failed", 500), ("applied", 200)])


async def test_a_rate_limited_refund_succeeds_later(
    payments: httpx.AsyncClient, refund_vase: RefundVase, order_payment: str
) -> None:
    await set_fault(payments, mode="rate_limit", times=1)

    with pytest.raises(stripe.RateLimitError):
        await refund_vase()
    await refund_vase()

    assert await ledger_of(payments, order_payment) == (1, [("rate_limited", 429), ("applied", 200)])


async def test_a_decline_is_permanent(payments: httpx.AsyncClient, refund_vase: RefundVase, order_payment: str) -> None:
    await set_fault(payments, mode="decline", times=1)

    for _ in range(2):
        with pytest.raises(stripe.CardError) as decline:
            await refund_vase()
        assert (decline.value.http_status, decline.value.code) == (402, "card_declined")

    assert await ledger_of(payments, order_payment) == (0, [("declined", 402), ("replayed", 402)])


async def test_a_response_lost_after_the_refund_is_returned_to_a_repeat(
    payments: httpx.AsyncClient, refund_vase: RefundVase, order_payment: str
) -> None:
    await set_fault(payments, mode="timeout_after_apply", times=1)

    with pytest.raises(stripe.APIConnectionError) as timeout:
        await refund_vase()
    again = await refund_vase()

    assert isinstance(timeout.value.__cause__, httpx.ReadTimeout)
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert await ledger_of(payments, order_payment) == (1, [("applied", None), ("replayed", 200)])


async def test_a_request_lost_before_the_refund_leaves_no_trace(
    payments: httpx.AsyncClient, refund_vase: RefundVase, order_payment: str
) -> None:
    await set_fault(payments, mode="timeout_before_apply", times=1)

    with pytest.raises(stripe.APIConnectionError):
        await refund_vase()
    assert await ledger_of(payments, order_payment) == (0, [("lost", None)])
    await refund_vase()

    assert await ledger_of(payments, order_payment) == (1, [("lost", None), ("applied", 200)])


async def test_a_slow_refund_is_applied_after_its_caller_has_timed_out(
    payments: httpx.AsyncClient, refund_vase: RefundVase, order_payment: str
) -> None:
    await set_fault(payments, mode="slow", times=1, delay_seconds=1.5)

    with pytest.raises(stripe.APIConnectionError):
        await refund_vase()
    with pytest.raises(stripe.APIError) as in_flight:
        await refund_vase()
    assert (in_flight.value.http_status, in_flight.value.code) == (409, None)
    assert await ledger_of(payments, order_payment) == (0, [("delayed", None), ("in_flight", 409)])

    async def is_applied() -> bool:
        return (await ledger_of(payments, order_payment))[0] == 1

    await eventually(is_applied)
    await refund_vase()
    assert await ledger_of(payments, order_payment) == (1, [("applied", 200), ("in_flight", 409), ("replayed", 200)])


async def test_a_fault_affects_only_its_payment_or_reference(
    payments: httpx.AsyncClient, refund_vase: RefundVase, stripe_client: stripe.StripeClient, order_payment: str
) -> None:
    await set_fault(payments, mode="fail", times=None, payment=f"return-of-{order_payment}")

    await stripe_client.v1.refunds.create_async({"payment_intent": f"other-{order_payment}", "amount": 1})
    for _ in range(3):
        with pytest.raises(stripe.APIError):
            await refund_vase()
    await payments.delete("/sandbox/faults")
    await refund_vase()


async def test_pending_faults_are_listed_with_their_remaining_count(
    payments: httpx.AsyncClient, refund_vase: RefundVase, order_payment: str
) -> None:
    await set_fault(payments, mode="fail", times=2, payment=order_payment)
    await set_fault(payments, mode="slow", delay_seconds=1)

    with pytest.raises(stripe.APIError):
        await refund_vase()

    assert (await payments.get("/sandbox/faults")).json() == {
        "faults": [
            {"mode": "fail", "times": 1, "payment": order_payment},
            {"mode": "slow", "times": None, "payment": None, "delay_seconds": 1.0},
        ]
    }


@pytest.mark.parametrize(
    "fault",
    [
        [],
        {},
        {"mode": "explode"},
        {"mode": ["fail"]},
        {"mode": "fail", "times": 0},
        {"mode": "fail", "times": True},
        {"mode": "fail", "payment": 7},
        {"mode": "fail", "to": "ada@example.org"},
        {"mode": "fail", "delay_seconds": 1},
        {"mode": "slow"},
        {"mode": "slow", "delay_seconds": -1},
        {"mode": "slow", "delay_seconds": True},
    ],
)
async def test_an_invalid_fault_is_rejected(payments: httpx.AsyncClient, fault: object) -> None:
    response = await payments.post("/sandbox/faults", json=fault)

    assert response.status_code == 400
    assert response.json()["error"]["message"]
    assert (await payments.get("/sandbox/faults")).json() == {"faults": []}
