"""The business keys of refunds, and their states."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from common.money import MINOR_DIGITS
from hypothesis import given
from hypothesis import strategies as st
from refunds.domain.refund import ALLOWED_TRANSITIONS, LastAnswer, Refund, RefundStatus, TransitionRefused
from refunds.domain.request import cancellation_key, late_payment_key, return_key, surplus_payment_key
from support.example.refunds import NOW, a_refund, a_request

LATER = NOW + timedelta(hours=1)
ID = UUID("0f0e0d0c-0b0a-4908-8706-050403020100")
S = RefundStatus
# Every way into a status, from a refund in any other one.
COMMANDS: dict[RefundStatus, list[Callable[[Refund], Refund]]] = {
    S.READY: [
        lambda refund: refund.is_absent(),
        lambda refund: refund.release(),
        lambda refund: refund.not_reached("refused", NOW, key_spent=False),
    ],
    S.CALLING: [lambda refund: refund.call(NOW)],
    S.UNKNOWN: [lambda refund: refund.lose_answer("no answer", NOW, key_spent=False)],
    S.PENDING: [lambda refund: refund.await_completion("re_1")],
    S.SUCCEEDED: [lambda refund: refund.succeed("re_1", NOW)],
    S.DECLINED: [lambda refund: refund.decline("closed")],
    S.FAILED: [lambda refund: refund.fail("no attempt is left")],
    S.HELD: [lambda refund: refund.hold("disputed")],
    S.REVERSED: [lambda refund: refund.reverse("the account is closed")],
}


@pytest.mark.parametrize("status", RefundStatus)
@pytest.mark.parametrize("new_status", RefundStatus)
def test_a_refund_changes_only_by_the_allowed_transitions(status: RefundStatus, new_status: RefundStatus) -> None:
    refund = replace(a_refund(), status=status, transaction_id="re_0")
    for command in COMMANDS[new_status]:
        if new_status is S.FAILED and status in {S.CALLING, S.UNKNOWN, S.PENDING}:
            continue  # see the tests of failures below
        if new_status in ALLOWED_TRANSITIONS[status]:
            assert command(refund).status is new_status
        else:
            with pytest.raises(TransitionRefused, match=f"is {status}: it cannot become {new_status}"):
                command(refund)


def test_success_stores_the_transaction_id_and_clears_the_error() -> None:
    refund = a_refund().fail("the gateway is unavailable").succeed("re_7", NOW)
    assert (refund.transaction_id, refund.error, refund.completed_at) == ("re_7", None, NOW)


def test_each_intent_counts_as_an_attempt_and_clears_what_the_last_answer_said() -> None:
    refund = a_refund().call(NOW).lose_answer("500", NOW, key_spent=True).is_absent()
    assert (refund.attempts, refund.last_answer, refund.key_spent) == (1, LastAnswer.LOST, True)
    refund = refund.call(LATER)
    assert (refund.attempts, refund.last_answer, refund.key_spent, refund.called_at) == (2, None, False, LATER)


def test_a_refund_fails_only_where_it_certainly_was_not_made() -> None:
    called = a_refund().call(NOW)
    assert called.fail("the worker was killed ten times").status is S.UNKNOWN
    assert called.lose_answer("no answer", NOW, key_spent=False).fail("gave up").status is S.UNKNOWN
    assert called.lose_answer("no answer", NOW, key_spent=False).is_absent().fail("gave up").status is S.FAILED
    assert called.not_reached("refused", NOW, key_spent=False).fail("gave up").status is S.FAILED


def test_a_decline_is_no_failure_of_ours() -> None:
    called = a_refund().call(NOW)
    assert called.lose_answer("closed", NOW, key_spent=True, declined=True).fail("closed").status is S.DECLINED
    pending = called.await_completion("re_1")
    declined = pending.fail("the bank refused")
    assert (declined.status, declined.transaction_id, declined.key_spent) == (S.DECLINED, None, True)


@pytest.mark.parametrize("status", RefundStatus)
def test_a_refund_is_settled_by_hand_only_while_no_call_may_be_under_way(status: RefundStatus) -> None:
    refund = replace(a_refund(), status=status)
    if status in {S.READY, S.DECLINED, S.FAILED, S.HELD, S.REVERSED}:
        settled = refund.settle("bank transfer 1", NOW)
        assert (settled.status, settled.transaction_id, settled.settled_by_hand) == (
            S.SUCCEEDED,
            "bank transfer 1",
            True,
        )
    else:
        with pytest.raises(TransitionRefused):
            refund.settle("bank transfer 1", NOW)


CHANGES = [Refund.reopen, *(each for ways in COMMANDS.values() for each in ways)]


@given(st.lists(st.sampled_from(CHANGES), max_size=40))
def test_in_any_sequence_of_changes_a_refund_is_paid_under_one_transaction(
    changes: list[Callable[[Refund], Refund]],
) -> None:
    refund = a_refund()
    epochs = [refund.key_epoch]
    for change in changes:
        before = refund
        with suppress(TransitionRefused):
            refund = change(refund)
        epochs.append(refund.key_epoch)
        if refund.key_epoch != before.key_epoch:
            assert before.key_spent, "a key was replaced whose calls may still be under way"
            assert before.status in {S.DECLINED, S.FAILED}
        assert (refund.completed_at is not None) == (refund.status in {S.SUCCEEDED, S.REVERSED})
        if refund.status in {S.PENDING, S.SUCCEEDED, S.REVERSED}:
            assert refund.transaction_id is not None
    assert epochs == sorted(epochs)


def test_only_a_used_idempotency_key_is_replaced_when_a_refund_is_reopened() -> None:
    failed_refund = a_refund().fail("no answer")
    assert failed_refund.reopen().idempotency_key == failed_refund.idempotency_key

    reopened = replace(failed_refund, key_spent=True).reopen()
    assert (reopened.idempotency_key, reopened.key_spent) == (f"refund-{failed_refund.id}-1", False)


def test_a_payment_is_named_by_its_id_only_with_a_key_that_was_not_used_for_the_derived_reference() -> None:
    refund = replace(a_refund(payment_reference="order-1"), identified_reference="pi_1")
    unsent = refund.redirect()
    assert (unsent.request.payment_reference, unsent.idempotency_key) == ("pi_1", refund.idempotency_key)
    assert unsent.redirect() is unsent

    unanswered = refund.call(NOW).lose_answer("no answer", NOW, key_spent=False).is_absent().redirect()
    assert (unanswered.request.payment_reference, unanswered.idempotency_key) == ("order-1", refund.idempotency_key)

    declined = refund.call(NOW).lose_answer("declined", NOW, key_spent=True, declined=True)
    for retried in (declined.is_absent().redirect(), declined.fail("declined").reopen()):
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
