"""The payment gateway: the shared behaviour of the fake and the real adapter, and details of Stripe."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from common.money import MINOR_DIGITS, quantize
from hypothesis import given
from hypothesis import strategies as st
from refunds.payment_gateway.port import (
    Declined,
    GatewayError,
    GatewayFailure,
    GatewayUnavailable,
    OutcomeUnknown,
    PaymentGateway,
    RefundCall,
)
from refunds.payment_gateway.stripe import StripeGateway
from refunds.payment_gateway.stripe_objects import major_units, minor_units
from support.example.refunds import a_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.sandbox import PaymentSandbox

Controls = FakePaymentGateway | PaymentSandbox


@pytest.fixture(params=["fake", "stripe"])
def gateway_and_controls(request: pytest.FixtureRequest) -> tuple[PaymentGateway, Controls]:
    if request.param == "fake":
        fake = FakePaymentGateway()
        return fake, fake
    return request.getfixturevalue("stripe_gateway"), request.getfixturevalue("sandbox")


async def test_a_refund_is_made_and_can_be_found(
    gateway_and_controls: tuple[PaymentGateway, Controls],
) -> None:
    gateway, controls = gateway_and_controls
    refund = a_refund()
    assert await gateway.find(RefundCall.of(refund)) is None

    provider_refund = await gateway.refund(RefundCall.of(refund))

    assert await gateway.find(RefundCall.of(refund)) == provider_refund
    assert len(await controls.refunds(refund.request.payment_reference)) == 1


async def test_a_repeated_request_with_the_same_key_makes_no_second_refund(
    gateway_and_controls: tuple[PaymentGateway, Controls],
) -> None:
    gateway, controls = gateway_and_controls
    refund = a_refund()
    assert await gateway.refund(RefundCall.of(refund)) == await gateway.refund(RefundCall.of(refund))
    assert len(await controls.refunds(refund.request.payment_reference)) == 1


async def test_a_search_finds_our_refund_among_other_refunds_of_the_payment(
    gateway_and_controls: tuple[PaymentGateway, Controls],
) -> None:
    gateway, _ = gateway_and_controls
    refund = a_refund()
    others = [a_refund(payment_reference=refund.request.payment_reference) for _ in range(3)]
    for other in others:
        await gateway.refund(RefundCall.of(other))
    assert await gateway.find(RefundCall.of(refund)) is None

    provider_refund = await gateway.refund(RefundCall.of(refund))
    await gateway.refund(RefundCall.of(a_refund(payment_reference=refund.request.payment_reference)))

    assert await gateway.find(RefundCall.of(refund)) == provider_refund


@pytest.mark.parametrize(
    ("mode", "failure", "count"),
    [
        ("fail", GatewayError, 0),
        ("rate_limit", GatewayUnavailable, 0),
        ("decline", Declined, 0),
        ("timeout_before_apply", OutcomeUnknown, 0),
        ("timeout_after_apply", OutcomeUnknown, 1),
    ],
)
async def test_an_error_says_whether_the_refund_may_have_happened(
    gateway_and_controls: tuple[PaymentGateway, Controls], mode: str, failure: type[GatewayFailure], count: int
) -> None:
    gateway, controls = gateway_and_controls
    refund = a_refund()
    await controls.fail(mode)

    with pytest.raises(GatewayFailure) as raised:
        await gateway.refund(RefundCall.of(refund))

    assert type(raised.value) is failure
    assert len(await controls.refunds(refund.request.payment_reference)) == count
    assert (await gateway.find(RefundCall.of(refund)) is not None) == bool(count)


async def test_a_decline_is_repeated_for_its_key_and_not_for_a_new_one(
    gateway_and_controls: tuple[PaymentGateway, Controls],
) -> None:
    gateway, controls = gateway_and_controls
    refund = a_refund()
    await controls.fail("decline")
    for _ in range(2):
        with pytest.raises(Declined):
            await gateway.refund(RefundCall.of(refund))

    assert await gateway.refund(RefundCall.of(replace(refund, key_epoch=1))) == await gateway.find(
        RefundCall.of(refund)
    )


async def test_stripe_gets_the_amount_in_minor_units_and_our_reference(
    stripe_gateway: StripeGateway, sandbox: PaymentSandbox
) -> None:
    refund = a_refund()
    await stripe_gateway.refund(RefundCall.of(refund))

    (provider_refund,) = await sandbox.refunds(refund.request.payment_reference)
    assert provider_refund["amount"] == 7906
    assert provider_refund["payment_intent"] == refund.request.payment_reference
    assert provider_refund["metadata"] == {"reference": refund.reference, "order": "ORD-2026-000042", "currency": "EUR"}
    assert await sandbox.keys(refund.request.payment_reference) == [refund.idempotency_key]


@pytest.mark.parametrize("prefix", ["ch_", "py_"])
async def test_a_charge_is_refunded_as_a_charge(
    stripe_gateway: StripeGateway, sandbox: PaymentSandbox, prefix: str
) -> None:
    refund = a_refund()
    refund = a_refund(payment_reference=f"{prefix}{refund.id.hex}")
    created = await stripe_gateway.refund(RefundCall.of(refund))

    (provider_refund,) = await sandbox.refunds(refund.request.payment_reference)
    assert (provider_refund["charge"], provider_refund["payment_intent"]) == (refund.request.payment_reference, None)
    assert await stripe_gateway.find(RefundCall.of(refund)) == created


async def test_a_refund_above_the_payment_is_declined_permanently(
    stripe_gateway: StripeGateway, sandbox: PaymentSandbox
) -> None:
    refund = a_refund()
    await sandbox.declare_capture(refund.request.payment_reference, 7905, "EUR")
    with pytest.raises(Declined, match="400 InvalidRequestError: Refund amount is greater than the unrefunded amount"):
        await stripe_gateway.refund(RefundCall.of(refund))


async def test_our_refund_is_found_beyond_the_first_page(sandbox: PaymentSandbox) -> None:
    gateway = StripeGateway(sandbox.url, "sk_test_1", timeout=60)  # a hundred calls at once
    refund = a_refund()
    provider_refund = await gateway.refund(RefundCall.of(refund))
    others = [a_refund(payment_reference=refund.request.payment_reference) for _ in range(100)]
    await asyncio.gather(*(gateway.refund(RefundCall.of(other)) for other in others))

    assert await gateway.find(RefundCall.of(refund)) == provider_refund
    await gateway.aclose()


async def test_a_refused_connection_means_that_the_gateway_was_not_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    gateway = StripeGateway(f"http://127.0.0.1:{port}", "sk_test_1")
    with pytest.raises(GatewayUnavailable, match="not reached: ClientConnectorError"):
        await gateway.refund(RefundCall.of(a_refund()))
    await gateway.aclose()


def test_a_gateway_cannot_be_used_without_a_key() -> None:
    with pytest.raises(ValueError, match="needs an API key"):
        StripeGateway("https://api.stripe.com", " ")


ERROR = '{"error": {"type": "api_error", "message": "because"}}'
NOT_FOUND = '{"error": {"type": "invalid_request_error", "code": "resource_missing", "message": "No such payment"}}'

FAILED = """{"id": "re_1", "object": "refund", "status": "failed", "failure_reason": "closed", "amount": 1,
"currency": "eur", "created": 1}"""


@pytest.mark.parametrize(
    ("response", "failure"),
    [
        (f"401 Unauthorized\r\n\r\n{ERROR}", GatewayUnavailable),
        (f"403 Forbidden\r\n\r\n{ERROR}", GatewayUnavailable),
        (f"404 Not Found\r\n\r\n{NOT_FOUND}", Declined),
        (f"409 Conflict\r\n\r\n{ERROR}", OutcomeUnknown),
        (f"500 Internal Server Error\r\n\r\n{ERROR}", GatewayError),
        ("502 Bad Gateway\r\n\r\n<html>the balancer</html>", OutcomeUnknown),
        ("200 OK\r\n\r\n{cut", OutcomeUnknown),
        ('200 OK\r\n\r\n{"id": "re_1", "object": "refund", "status": "succeeded"}', OutcomeUnknown),
        (f"200 OK\r\n\r\n{FAILED}", Declined),
        (None, OutcomeUnknown),
    ],
)
async def test_every_response_is_mapped_to_its_error(response: str | None, failure: type[GatewayFailure]) -> None:
    async with responding_server(response) as url:
        gateway = StripeGateway(url, "sk_test_1", timeout=2)
        with pytest.raises(GatewayFailure) as raised:
            await gateway.refund(RefundCall.of(a_refund()))
        await gateway.aclose()
    assert type(raised.value) is failure


async def test_a_payment_that_the_gateway_does_not_know_has_no_refund() -> None:
    async with responding_server(f"404 Not Found\r\n\r\n{NOT_FOUND}") as url:
        gateway = StripeGateway(url, "sk_test_1")
        assert await gateway.find(RefundCall.of(a_refund())) is None
        await gateway.aclose()


async def test_a_failed_search_says_nothing_about_the_refund() -> None:
    async with responding_server(f"400 Bad Request\r\n\r\n{ERROR}") as url:
        gateway = StripeGateway(url, "sk_test_1")
        with pytest.raises(OutcomeUnknown, match="cannot be looked up"):
            await gateway.find(RefundCall.of(a_refund()))
        await gateway.aclose()


@asynccontextmanager
async def responding_server(response: str | None) -> AsyncIterator[str]:
    """A server that sends this response to every request, or closes the connection if it is None."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if response is not None:
            writer.write(f"HTTP/1.1 {response}".encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.50", "EUR", 1250),
        ("500", "JPY", 500),
        ("500", "ISK", 50000),
        ("5", "UGX", 500),
        ("12.340", "KWD", 12340),
        ("300.00", "MGA", 300),
    ],
)
def test_amounts_are_in_the_minor_units_of_stripe(amount: str, currency: str, units: int) -> None:
    assert minor_units(Decimal(amount), currency) == units


@pytest.mark.parametrize(("amount", "currency"), [("12.345", "KWD"), ("300.20", "MGA"), ("0.5", "JPY"), ("1", "XXX")])
async def test_an_amount_that_stripe_cannot_represent_is_rejected_before_it_is_sent(
    stripe_gateway: StripeGateway, sandbox: PaymentSandbox, amount: str, currency: str
) -> None:
    refund = a_refund()
    object.__setattr__(refund.request, "amount", Decimal(amount))
    object.__setattr__(refund.request, "currency", currency)
    with pytest.raises(Declined):
        await stripe_gateway.refund(RefundCall.of(refund))
    assert await sandbox.calls(refund.request.payment_reference) == []


@given(st.sampled_from(sorted(MINOR_DIGITS)), st.integers(min_value=1, max_value=10**12))
def test_no_digit_is_lost_on_the_way_to_stripe(currency: str, units: int) -> None:
    amount = quantize(Decimal(units).scaleb(-MINOR_DIGITS[currency]), currency)
    per_unit = {"ISK": 100, "UGX": 100, "MGA": 1}.get(currency, 10 ** MINOR_DIGITS[currency])
    try:
        stripe_amount = minor_units(amount, currency)
    except ValueError:
        assert currency == "MGA" or MINOR_DIGITS[currency] == 3
    else:
        assert Decimal(stripe_amount) / per_unit == amount == major_units(stripe_amount, currency)
