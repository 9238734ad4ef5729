"""Connections of the payment provider that are reset at every byte of the request and of the response."""

import httpx
import pytest
from support.payments.sandbox import PaymentSandbox

HEADERS = {"Authorization": "Bearer sk_test_1"}
# Long enough for a request and its response, in steps that meet each part of both.
BYTES = [0, 1, 5, 40, 200, 10_000]


@pytest.fixture
def sandbox(payments_url: str) -> PaymentSandbox:
    return PaymentSandbox(payments_url)


async def refund(payments: httpx.AsyncClient, payment: str) -> httpx.Response:
    return await payments.post(
        "/v1/refunds", data={"payment_intent": payment, "amount": 100}, headers={"Idempotency-Key": payment}
    )


@pytest.mark.parametrize("after_bytes", BYTES)
async def test_a_request_has_an_effect_only_if_its_last_byte_arrived(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str, after_bytes: int
) -> None:
    await sandbox.fail("reset_request", payment=order_payment, after_bytes=after_bytes)
    with pytest.raises(httpx.ReadError):
        await refund(payments, order_payment)

    has_arrived = after_bytes == BYTES[-1]
    assert len(await sandbox.refunds(order_payment)) == has_arrived
    assert await sandbox.calls(order_payment) == ["applied" if has_arrived else "lost"]

    assert (await refund(payments, order_payment)).is_success
    assert len(await sandbox.refunds(order_payment)) == 1


@pytest.mark.parametrize("after_bytes", BYTES)
async def test_a_response_is_cut_at_any_byte_after_the_refund(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str, after_bytes: int
) -> None:
    await sandbox.fail("reset_response", payment=order_payment, after_bytes=after_bytes)
    if after_bytes == BYTES[-1]:
        assert (await refund(payments, order_payment)).is_success
    else:
        with pytest.raises(httpx.ReadError):
            await refund(payments, order_payment)

    assert len(await sandbox.refunds(order_payment)) == 1
    assert (await refund(payments, order_payment)).headers["Idempotent-Replayed"] == "true"


async def test_the_bytes_of_a_request_are_counted_on_a_connection_that_is_used_again(
    payments: httpx.AsyncClient, sandbox: PaymentSandbox, order_payment: str
) -> None:
    for number in range(3):
        assert (await refund(payments, f"{order_payment}-{number}")).is_success
    await sandbox.fail("reset_request", payment=order_payment, after_bytes=500)
    with pytest.raises(httpx.ReadError):
        await refund(payments, order_payment)
    assert len(await sandbox.refunds(order_payment)) == 1, "a request of less than 500 bytes arrived"
