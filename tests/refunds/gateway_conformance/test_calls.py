"""What every adapter of a payment provider must do: calls, look-ups, lists, and what their errors mean."""

import asyncio
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from refunds.payment_gateway.port import (
    Declined,
    GatewayError,
    GatewayFailure,
    GatewayRefund,
    GatewayRefundStatus,
    GatewayUnavailable,
    OutcomeUnknown,
    RefundCall,
)
from support.example.refunds import a_refund
from support.payments.dialects import DIALECTS, Dialect, Provider
from support.payments.webhook_receiver import webhook_receiver
from support.waiting import eventually

# Stripe's SDK passes the body to httpx in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


async def ended(provider: Provider, call: RefundCall) -> GatewayRefund:
    """The refund when it is no longer pending."""
    found: list[GatewayRefund] = []

    async def is_final() -> bool:
        refund = await provider.gateway.find(call)
        if refund is not None and refund.status is not GatewayRefundStatus.PENDING:
            found.append(refund)
        return bool(found)

    await eventually(is_final)
    return found[0]


async def test_a_refund_is_made_once_and_found_by_our_reference(provider: Provider, call: RefundCall) -> None:
    assert await provider.gateway.find(call) is None
    made = await provider.gateway.refund(call)
    final = await ended(provider, call)

    first_status = GatewayRefundStatus.SUCCEEDED if provider.dialect.answers_at_once else GatewayRefundStatus.PENDING
    assert (made.status, final.status) == (first_status, GatewayRefundStatus.SUCCEEDED)
    for refund in (made, final):
        assert (refund.id, refund.reference) == (made.id, call.reference)
        assert (refund.payment_reference, refund.amount, refund.currency) == (
            call.payment_reference,
            call.amount,
            call.currency,
        )
    assert abs(final.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    (in_ledger,) = await provider.sandbox.refunds(call.payment_reference)
    assert (in_ledger["id"], in_ledger["amount"]) == (made.id, 7906)


async def test_a_repeated_call_is_harmless_exactly_where_the_adapter_says_so(
    provider: Provider, call: RefundCall
) -> None:
    for _ in range(2):
        await provider.gateway.refund(call)

    has_keys = provider.gateway.key_lifetime is not None
    assert has_keys == provider.dialect.has_keys
    assert len(await provider.sandbox.refunds(call.payment_reference)) == (1 if has_keys else 2)


async def test_a_look_up_finds_ours_among_other_refunds_of_the_payment(provider: Provider, call: RefundCall) -> None:
    others = [
        replace(call, reference=f"{call.reference}-{n}", idempotency_key=f"other-{call.reference}-{n}") for n in "ab"
    ]
    await provider.gateway.refund(others[0])
    assert await provider.gateway.find(call) is None
    made = await provider.gateway.refund(call)
    await provider.gateway.refund(others[1])

    found = await provider.gateway.find(call)
    assert found is not None
    assert (found.id, found.reference) == (made.id, call.reference)
    assert len(await provider.gateway.refunds_of(call.payment_reference)) == 3


async def test_a_long_reference_is_found_too(provider: Provider, call: RefundCall) -> None:
    long = replace(call, reference="surplus-payment:" + "x" * 200)
    made = await provider.gateway.refund(long)
    found = await provider.gateway.find(long)
    assert found is not None
    assert (found.id, found.reference) == (made.id, long.reference)


async def test_an_error_that_the_provider_answers_is_an_attempt(provider: Provider, call: RefundCall) -> None:
    await provider.sandbox.fail("fail", 1, call.payment_reference)
    patient = provider.dialect.adapter(provider.sandbox.url, timeout=20)
    try:
        with pytest.raises(GatewayFailure) as raised:
            await patient.refund(call)
    finally:
        await patient.aclose()
    assert not raised.value.is_outage


@pytest.mark.parametrize(
    ("dialect", "status"),
    # 402 and 422 are declines of one of the two.
    [
        (dialect, status)
        for dialect in DIALECTS
        for status in (402, 405, 410, 413, 415, 422, 451)
        if status != {"stripe": 402, "adyen": 422}[dialect.name]
    ],
)
async def test_a_4xx_that_is_neither_a_decline_nor_rejected_unread_is_a_failed_attempt(
    dialect: Dialect, status: int
) -> None:
    failure = await failure_of_an_answer(dialect, status)
    assert type(failure) is GatewayError
    assert not failure.is_outage
    assert failure.answer_is_kept == dialect.has_keys


@pytest.mark.parametrize("status", [408, 409, 425, 502, 503, 504])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_status_that_does_not_say_what_became_of_the_call_is_no_attempt(dialect: Dialect, status: int) -> None:
    failure = await failure_of_an_answer(dialect, status)
    assert type(failure) is OutcomeUnknown
    assert failure.is_outage


async def failure_of_an_answer(dialect: Dialect, status: int) -> GatewayFailure:
    """What the adapter raises where a server answers with this status, and without a body."""
    async with webhook_receiver() as server:
        server.statuses.append(status)
        gateway = dialect.adapter(server.url, timeout=20)
        with pytest.raises(GatewayFailure) as raised:
            await gateway.refund(RefundCall.of(a_refund()))
        await gateway.aclose()
    return raised.value


@pytest.mark.parametrize(
    ("mode", "options", "failure", "count"),
    [
        ("fail", {}, OutcomeUnknown, 0),
        ("fail_after_apply", {}, OutcomeUnknown, 1),
        ("conflict", {}, OutcomeUnknown, 0),
        ("unavailable", {}, OutcomeUnknown, 0),
        ("rate_limit", {"retry_after_seconds": 7}, GatewayUnavailable, 0),
        ("timeout_before_apply", {}, OutcomeUnknown, 0),
        ("timeout_after_apply", {}, OutcomeUnknown, 1),
        ("slow", {"delay_seconds": 1}, OutcomeUnknown, 1),
        *(("reset_request", {"after_bytes": n}, OutcomeUnknown, 0) for n in (0, 1, 17, 100)),
        ("reset_request", {"after_bytes": 100_000}, OutcomeUnknown, 1),
        *(("reset_response", {"after_bytes": n}, OutcomeUnknown, 1) for n in (0, 1, 17, 100)),
    ],
)
async def test_an_error_says_whether_the_refund_may_have_been_made(
    provider: Provider,
    call: RefundCall,
    mode: str,
    options: dict[str, float],
    failure: type[GatewayFailure],
    count: int,
) -> None:
    await provider.sandbox.fail(mode, 1, call.payment_reference, **options)
    with pytest.raises(GatewayFailure) as raised:
        await provider.gateway.refund(call)

    assert isinstance(raised.value, failure)
    assert raised.value.is_outage or mode in {"fail", "fail_after_apply"}
    if isinstance(raised.value, GatewayUnavailable):
        assert raised.value.retry_after == 7

    async def is_as_expected() -> bool:
        return len(await provider.sandbox.refunds(call.payment_reference)) == count

    await eventually(is_as_expected)
    assert (await provider.gateway.find(call) is not None) == bool(count)


async def test_the_response_that_is_complete_before_the_reset_counts(provider: Provider, call: RefundCall) -> None:
    await provider.sandbox.fail("reset_response", 1, call.payment_reference, after_bytes=100_000)
    made = await provider.gateway.refund(call)
    assert (await ended(provider, call)).id == made.id


async def test_a_decline_is_definitive_and_names_its_reason(provider: Provider, call: RefundCall) -> None:
    await provider.sandbox.fail("decline", 1, call.payment_reference)
    if provider.dialect.answers_at_once:
        with pytest.raises(Declined, match="declined"):
            await provider.gateway.refund(call)
        return
    await provider.gateway.refund(call)
    final = await ended(provider, call)
    assert (final.status, final.reason) == (GatewayRefundStatus.FAILED, "Refund declined by the issuer")


async def test_more_than_the_payment_is_never_paid_back(provider: Provider, call: RefundCall) -> None:
    await provider.sandbox.declare_capture(call.payment_reference, 7905, call.currency)
    if provider.dialect.answers_at_once:
        with pytest.raises(Declined):
            await provider.gateway.refund(call)
        return
    await provider.gateway.refund(call)
    assert (await ended(provider, call)).status is GatewayRefundStatus.FAILED


@pytest.mark.parametrize("result", ["succeeded", "failed"])
async def test_a_pending_refund_is_pending_until_its_result(provider: Provider, call: RefundCall, result: str) -> None:
    await provider.sandbox.fail("pending", 1, call.payment_reference, then=result, delay_seconds=0.3)
    assert (await provider.gateway.refund(call)).status is GatewayRefundStatus.PENDING
    pending = await provider.gateway.find(call)
    assert pending is not None
    assert pending.status is GatewayRefundStatus.PENDING
    assert (await ended(provider, call)).status == result.upper()


async def test_an_effective_refund_is_found_before_a_failed_one(provider: Provider, call: RefundCall) -> None:
    first = await provider.gateway.refund(call)
    await ended(provider, call)
    await provider.sandbox.set_status(first.id, "failed")
    failed = await provider.gateway.find(call)
    assert failed is not None
    assert failed.status is GatewayRefundStatus.FAILED
    again = await provider.gateway.refund(replace(call, idempotency_key=f"{call.idempotency_key}-1"))
    await provider.sandbox.refund_by_hand(call.payment_reference, 1)

    found = await provider.gateway.find(call)
    assert found is not None
    assert found.id == again.id


async def test_a_look_up_that_lags_is_no_longer_than_the_adapter_says(provider: Provider, call: RefundCall) -> None:
    lag = provider.gateway.lookup_lag.total_seconds()
    await provider.sandbox.fail("lookup_lag", 1, call.payment_reference, delay_seconds=lag)
    await provider.gateway.refund(call)
    assert await provider.gateway.find(call) is None

    async def is_found() -> bool:
        return await provider.gateway.find(call) is not None

    await eventually(is_found)


async def test_a_failed_look_up_says_nothing_about_the_refund(provider: Provider, call: RefundCall) -> None:
    await provider.sandbox.fail("unavailable", 1, call.payment_reference)
    with pytest.raises(OutcomeUnknown):
        await provider.gateway.find(call)


async def test_refunds_by_hand_are_listed_without_a_reference(provider: Provider, call: RefundCall) -> None:
    await provider.sandbox.declare_capture(call.payment_reference, 7906, call.currency)
    await provider.sandbox.refund_by_hand(call.payment_reference, 1000)

    (by_hand,) = await provider.gateway.refunds_of(call.payment_reference)
    assert (by_hand.reference, by_hand.amount, by_hand.currency) == (None, Decimal("10.00"), "EUR")
    assert by_hand.payment_reference == call.payment_reference
    assert await provider.gateway.find(call) is None


async def test_all_refunds_since_a_time_are_listed_over_many_pages(provider: Provider, call: RefundCall) -> None:
    since = datetime.now(UTC)
    calls = [
        replace(call, reference=f"{call.reference}-{n}", idempotency_key=f"{call.reference}-{n}") for n in range(120)
    ]
    patient = provider.dialect.adapter(provider.sandbox.url)
    for start in range(0, len(calls), 8):
        await asyncio.gather(*(patient.refund(each) for each in calls[start : start + 8]))
    await patient.aclose()

    listed = [each async for each in provider.gateway.refunds_since(since)]
    assert {each.reference for each in calls} <= {each.reference for each in listed}
    later = datetime.now(UTC) + timedelta(hours=1)
    assert [each async for each in provider.gateway.refunds_since(later)] == []
    assert len(await provider.gateway.refunds_of(call.payment_reference)) == len(calls)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_refused_connection_means_that_nothing_happened(dialect: Dialect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    gateway = dialect.adapter(f"http://127.0.0.1:{port}")
    with pytest.raises(GatewayUnavailable, match="not reached"):
        await gateway.refund(RefundCall.of(a_refund()))
    await gateway.aclose()


@pytest.mark.parametrize(("amount", "currency"), [("0.5", "JPY"), ("12.3456", "KWD"), ("1", "XXX")])
async def test_an_amount_that_cannot_be_represented_is_not_sent(
    provider: Provider, call: RefundCall, amount: str, currency: str
) -> None:
    with pytest.raises(Declined):
        await provider.gateway.refund(replace(call, amount=Decimal(amount), currency=currency))
    assert await provider.sandbox.calls(call.payment_reference) == []
