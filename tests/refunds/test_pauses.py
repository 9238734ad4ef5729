"""How long a refund waits for its next look-up, and when an absence is certain."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from refunds.domain.book import Capture, EntryKind
from refunds.domain.pauses import (
    FIRST_PAUSE,
    FIRST_PENDING_PAUSE,
    LONGEST_PAUSE,
    LONGEST_PENDING_PAUSE,
    is_of_an_earlier_call,
    outage_pause,
    pending_pause,
    uncertain_for,
    unknown_pause,
)
from refunds.domain.refund import LastAnswer, Refund
from refunds.domain.request import operator_key
from support.example.refunds import a_request

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
CALL, LAG = timedelta(seconds=8), timedelta(seconds=2)


def called(ago: timedelta, answer: LastAnswer | None = LastAnswer.LOST) -> Refund:
    request = a_request()
    refund = Refund(request.refund_id, request, created_at=NOW - timedelta(days=1))
    return replace(refund, called_at=NOW - ago, last_answer=answer)


@pytest.mark.parametrize(
    ("ago", "pause"),
    [
        (timedelta(0), FIRST_PAUSE),
        (timedelta(seconds=4), timedelta(seconds=4)),
        (timedelta(hours=1), LONGEST_PAUSE),
    ],
)
def test_the_pause_after_a_lost_answer_is_as_long_as_the_call_is_past(ago: timedelta, pause: timedelta) -> None:
    assert unknown_pause(called(ago), NOW) == pause


@pytest.mark.parametrize(
    ("unreached_for", "pause"),
    [
        (timedelta(0), FIRST_PAUSE),
        (timedelta(seconds=4), timedelta(seconds=4)),
        (timedelta(hours=1), LONGEST_PAUSE),
    ],
)
def test_the_pause_during_an_outage_is_as_long_as_the_outage_is_past(
    unreached_for: timedelta, pause: timedelta
) -> None:
    assert outage_pause(replace(called(CALL), unreached_since=NOW - CALL - unreached_for)) == pause


def test_the_first_pause_of_an_outage_is_the_shortest() -> None:
    refund = replace(called(CALL), unreached_since=NOW - CALL - LONGEST_PAUSE)
    assert outage_pause(replace(refund, unreached_since=None)) == FIRST_PAUSE
    assert outage_pause(replace(refund, called_at=None)) == FIRST_PAUSE


def test_a_refund_that_was_never_called_is_looked_up_rarely() -> None:
    assert unknown_pause(replace(called(CALL), called_at=None), NOW) == LONGEST_PAUSE


@pytest.mark.parametrize(
    ("ago", "pause"), [(timedelta(0), FIRST_PENDING_PAUSE), (timedelta(days=30), LONGEST_PENDING_PAUSE)]
)
def test_the_pause_of_a_pending_refund_grows_to_a_limit(ago: timedelta, pause: timedelta) -> None:
    assert pending_pause(called(ago), NOW) == pause


def test_an_absence_is_certain_when_the_provider_lists_everything_that_the_call_could_have_made() -> None:
    assert uncertain_for(called(timedelta(0)), NOW, longest_call=CALL, lookup_lag=LAG) == LAG
    assert uncertain_for(called(LAG), NOW, longest_call=CALL, lookup_lag=LAG) == timedelta(0)


def test_a_refund_that_was_never_called_is_certainly_absent() -> None:
    never_called = replace(called(CALL), called_at=None)
    assert uncertain_for(never_called, NOW, longest_call=CALL, lookup_lag=LAG) == timedelta(0)


def test_a_call_without_an_answer_may_still_be_under_way() -> None:
    assert uncertain_for(called(timedelta(0), None), NOW, longest_call=CALL, lookup_lag=LAG) == CALL + LAG


def test_an_absence_after_a_decline_is_certain() -> None:
    refund = called(timedelta(0), LastAnswer.DECLINED)
    assert uncertain_for(refund, NOW, longest_call=CALL, lookup_lag=LAG) == timedelta(0)


def test_a_refund_from_long_before_the_latest_call_is_of_an_earlier_one() -> None:
    refund = called(timedelta(0))
    assert is_of_an_earlier_call(refund, NOW - timedelta(hours=1), CALL)
    assert not is_of_an_earlier_call(refund, NOW, CALL)


@pytest.mark.parametrize("amount", ["0", "-1", "0.001"])
def test_a_payment_of_nothing_or_of_parts_of_a_cent_is_not_booked(amount: str) -> None:
    with pytest.raises(ValueError, match="cannot have been paid"):
        Capture(uuid4(), EntryKind.CAPTURE, "pi_1", Decimal(amount), "EUR", "ORD-1")


def test_each_request_of_an_operator_is_a_refund_of_its_own() -> None:
    assert operator_key(uuid4()) != operator_key(uuid4())
