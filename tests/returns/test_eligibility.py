"""Eligibility of an order for a return: it is delivered, and the window includes its last instant."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.domain.eligibility import Ineligibility, KnownOrder, ineligibility

WINDOW = timedelta(days=30)
# Across the end of summer time in Europe: days are of 24 hours, in UTC.
DELIVERED_AT = datetime(2026, 10, 1, 9, 30, tzinfo=UTC)
LAST_INSTANT = datetime(2026, 10, 31, 9, 30, tzinfo=UTC)
ORDER = KnownOrder(
    order_id=UUID(int=1),
    order_number="ORD-2026-000001",
    customer_id=UUID(int=2),
    customer_email=None,
    customer_name=None,
    status="DELIVERED",
    currency="EUR",
    total_amount=Decimal("79.06"),
    payment_reference="ch_teacups",
    delivered_at=DELIVERED_AT,
)
UNDELIVERED = ("PENDING_PAYMENT", "PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED", "CANCELLED", "A_STATE_OF_THE_FUTURE")


def judge(order: KnownOrder, at: datetime, *, already_returned: bool = False) -> Ineligibility | None:
    return ineligibility(order, already_returned=already_returned, requested_at=at, window=WINDOW)


@pytest.mark.parametrize(
    ("at", "obstacle"),
    [
        (DELIVERED_AT, None),
        (LAST_INSTANT - timedelta(seconds=1), None),
        (LAST_INSTANT, None),
        (LAST_INSTANT + timedelta(microseconds=1), Ineligibility.WINDOW_EXPIRED),
        (LAST_INSTANT + timedelta(seconds=1), Ineligibility.WINDOW_EXPIRED),
    ],
)
def test_the_window_ends_after_its_last_instant(at: datetime, obstacle: Ineligibility | None) -> None:
    assert judge(ORDER, at) is obstacle


@given(st.timedeltas(min_value=timedelta(0), max_value=2 * WINDOW))
def test_the_length_of_the_window_is_a_parameter(since_delivery: timedelta) -> None:
    assert (judge(ORDER, DELIVERED_AT + since_delivery) is None) == (since_delivery <= WINDOW)


def test_a_delivery_time_in_the_future_is_within_the_window() -> None:
    assert judge(ORDER, DELIVERED_AT - timedelta(seconds=1)) is None


@pytest.mark.parametrize("status", UNDELIVERED)
def test_an_order_must_be_delivered(status: str) -> None:
    assert judge(replace(ORDER, status=status, delivered_at=None), LAST_INSTANT) is Ineligibility.NOT_DELIVERED


def test_an_existing_return_is_reported_first() -> None:
    late = LAST_INSTANT + timedelta(days=1)
    assert judge(ORDER, late, already_returned=True) is Ineligibility.ALREADY_RETURNED


@pytest.mark.parametrize("status", [*UNDELIVERED, "DELIVERED"])
def test_only_delivered_and_cancelled_orders_cannot_be_delivered_later(status: str) -> None:
    assert replace(ORDER, status=status).may_yet_be_delivered == (status not in {"DELIVERED", "CANCELLED"})
