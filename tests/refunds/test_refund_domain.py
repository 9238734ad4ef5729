"""The business keys of refunds, and their states."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from common.money import MINOR_DIGITS
from hypothesis import given
from hypothesis import strategies as st
from refunds.domain.refund import ALLOWED_TRANSITIONS, Refund, RefundStatus, TransitionRefused
from refunds.domain.request import cancellation_key, late_payment_key, return_key, surplus_payment_key
from support.example.refunds import NOW, a_refund, a_request

ID = UUID("0f0e0d0c-0b0a-4908-8706-050403020100")
COMMANDS = {
    RefundStatus.SUCCEEDED: lambda refund: refund.succeed("re_1", 3, NOW),
    RefundStatus.FAILED: lambda refund: refund.fail("declined", 6),
    RefundStatus.PENDING: lambda refund: refund.reopen(),
}


@pytest.mark.parametrize("status", RefundStatus)
@pytest.mark.parametrize("new_status", RefundStatus)
def test_a_refund_changes_only_by_the_allowed_transitions(status: RefundStatus, new_status: RefundStatus) -> None:
    refund = replace(a_refund(), status=status)
    if new_status in ALLOWED_TRANSITIONS[status]:
        assert COMMANDS[new_status](refund).status is new_status
    else:
        with pytest.raises(TransitionRefused, match=f"is {status}: it cannot become {new_status}"):
            COMMANDS[new_status](refund)


def test_success_stores_the_transaction_id_and_clears_the_error() -> None:
    refund = a_refund().fail("the gateway is unavailable", 6).succeed("re_7", 7, NOW)
    assert (refund.transaction_id, refund.error, refund.attempts, refund.completed_at) == ("re_7", None, 7, NOW)


def test_only_a_used_idempotency_key_is_replaced_when_a_refund_is_reopened() -> None:
    failed_refund = a_refund().fail("no answer", 6)
    assert failed_refund.reopen().idempotency_key == failed_refund.idempotency_key

    reopened = replace(failed_refund, key_spent=True).reopen()
    assert (reopened.idempotency_key, reopened.key_spent) == (f"refund-{failed_refund.id}-1", False)


def test_a_payment_is_named_by_its_id_only_with_a_key_that_was_not_used_for_the_derived_reference() -> None:
    refund = replace(a_refund(payment_reference="order-1"), identified_reference="pi_1")
    unsent = refund.redirect()
    assert (unsent.request.payment_reference, unsent.idempotency_key) == ("pi_1", refund.idempotency_key)
    assert unsent.redirect() is unsent

    unanswered = refund.fail("no answer", 6).reopen()
    assert (unanswered.request.payment_reference, unanswered.idempotency_key) == ("order-1", refund.idempotency_key)

    declined = replace(refund, key_spent=True)
    for retried in (declined.redirect(), declined.fail("declined", 1).reopen()):
        assert (retried.request.payment_reference, retried.key_spent) == ("pi_1", False)
        assert retried.idempotency_key == f"refund-{refund.id}-1"


keys = st.one_of(
    st.uuids().map(return_key),
    st.uuids().map(cancellation_key),
    st.builds(late_payment_key, st.uuids(), st.text(max_size=255)),
    st.builds(surplus_payment_key, st.uuids(), st.text(max_size=255)),
)


@given(keys, keys)
def test_refund_requests_share_an_id_and_an_idempotency_key_only_if_they_are_equal(one: str, other: str) -> None:
    first, second = a_request(business_key=one), a_request(business_key=other)
    assert (first.refund_id == second.refund_id) == (one == other)


@given(keys, st.integers(min_value=0, max_value=10**6))
def test_an_idempotency_key_has_a_length_that_the_gateway_accepts(key: str, epoch: int) -> None:
    request = a_request(business_key=key)
    refund = Refund(request.refund_id, request, NOW, key_epoch=epoch)
    assert len(refund.idempotency_key) <= 255
    assert len(refund.reference) <= 500  # https://docs.stripe.com/api/metadata


def test_ids_are_the_same_in_every_database() -> None:
    assert a_request(business_key=return_key(ID)).refund_id == UUID("5b9dee1a-a8d0-5cb4-af2d-a9b70a473871")


@pytest.mark.parametrize(
    ("amount", "currency", "problem"),
    [
        ("0", "EUR", "nothing to refund"),
        ("-1", "EUR", "nothing to refund"),
        ("1.005", "EUR", "more decimals than EUR"),
        ("0.5", "JPY", "more decimals than JPY"),
        ("1", "XXX", "not an ISO 4217 currency"),
    ],
)
def test_a_request_for_an_impossible_amount_is_rejected(amount: str, currency: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        a_request(amount=Decimal(amount), currency=currency)


@given(st.sampled_from(sorted(MINOR_DIGITS)), st.integers(min_value=1, max_value=10**15))
def test_an_amount_is_shown_with_all_its_currencys_decimals(currency: str, units: int) -> None:
    amount = Decimal(units).scaleb(-MINOR_DIGITS[currency])
    number, _, code = a_request(amount=amount, currency=currency).displayed_amount.partition(" ")
    assert (Decimal(number.replace(",", "")), code) == (amount, currency)
    assert len(number.partition(".")[2]) == MINOR_DIGITS[currency]
