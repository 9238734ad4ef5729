"""The states of a return: which commands each of them allows, and any sequence of commands."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.domain.eligibility import KnownOrder
from returns.domain.return_ import (
    ALLOWED_TRANSITIONS,
    NewReturn,
    RefundStatus,
    RejectionReason,
    Return,
    ReturnStatus,
    TransitionRefused,
)

MANAGER = UUID(int=7)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORDER = KnownOrder(
    order_id=UUID(int=1),
    order_number="ORD-2026-000001",
    customer_id=UUID(int=2),
    customer_email="ada@example.org",
    customer_name="Ada",
    status="DELIVERED",
    currency="EUR",
    total_amount=Decimal("79.06"),
    payment_reference="ch_teacups",
    delivered_at=NOON - timedelta(days=3),
)
NEW = NewReturn(ORDER.order_id, "One teacup came in two.")
REQUESTED = Return.open(ORDER, NEW, UUID(int=3), NOON)

Command = Callable[[Return], Return]
COMMANDS: dict[ReturnStatus, Command] = {
    ReturnStatus.APPROVED: lambda it: it.approve(NOON, "cracks are visible", MANAGER),
    ReturnStatus.REJECTED: lambda it: it.reject(NOON, "used for years", RejectionReason.POLICY_VIOLATION),
    ReturnStatus.IN_TRANSIT: lambda it: it.ship_back(NOON),
    ReturnStatus.RECEIVED: lambda it: it.receive(NOON),
    ReturnStatus.COMPLETED: lambda it: it.complete(NOON),
}
# The transitions of the contract, independent of the code.
ALLOWED = {
    ("REQUESTED", "APPROVED"),
    ("REQUESTED", "REJECTED"),
    ("APPROVED", "IN_TRANSIT"),
    ("IN_TRANSIT", "RECEIVED"),
    ("RECEIVED", "COMPLETED"),
}


@pytest.mark.parametrize("target", COMMANDS)
@pytest.mark.parametrize("state", ReturnStatus)
def test_each_command_is_allowed_exactly_where_the_contract_allows_it(
    state: ReturnStatus, target: ReturnStatus
) -> None:
    before = replace(REQUESTED, status=state)
    if (state, target) in ALLOWED:
        changed = COMMANDS[target](before)
        assert (changed.status, changed.version) == (target, before.version + 1)
    else:
        with pytest.raises(TransitionRefused) as raised:
            COMMANDS[target](before)
        assert (raised.value.current, raised.value.requested) == (state, target)
        assert {(state, allowed) for allowed in raised.value.allowed} == {pair for pair in ALLOWED if pair[0] == state}


@given(st.lists(st.sampled_from(sorted(COMMANDS))))
def test_no_sequence_of_commands_leaves_the_allowed_paths(targets: list[ReturnStatus]) -> None:
    current = REQUESTED
    for target in targets:
        before = current
        try:
            current = COMMANDS[target](current)
        except TransitionRefused:
            assert current is before
        else:
            assert (before.status, current.status) in ALLOWED
            assert current.version == before.version + 1
    completed = current.status is ReturnStatus.COMPLETED
    assert current.refund_status is (RefundStatus.PENDING if completed else RefundStatus.NONE)
    assert (current.completed_at is not None) == completed
    assert (current.rejected_at is not None) == (current.status is ReturnStatus.REJECTED)
    assert (current.rejection_reason is None) == (current.rejected_at is None)
    assert not (current.approved_at and current.rejected_at)
    assert current.refund_amount == ORDER.total_amount


def test_rejected_and_completed_are_terminal() -> None:
    assert [state for state, allowed in ALLOWED_TRANSITIONS.items() if not allowed] == ["REJECTED", "COMPLETED"]


def test_each_change_stores_its_time_and_its_parameters() -> None:
    times = [NOON + timedelta(hours=hours) for hours in range(5)]
    approved = REQUESTED.approve(times[1], "cracks are visible", MANAGER)
    completed = approved.ship_back(times[2]).receive(times[3]).complete(times[4])
    assert (completed.created_at, completed.approved_at) == (NOON, times[1])
    assert completed.completed_at == completed.updated_at == times[4]
    assert completed.manager_notes == "cracks are visible"


def test_the_refund_amount_is_the_total_of_the_order() -> None:
    assert (REQUESTED.refund_amount, REQUESTED.currency) == (Decimal("79.06"), "EUR")
    assert REQUESTED.payment_reference == "ch_teacups"


def test_an_unpaid_order_cannot_be_returned() -> None:
    with pytest.raises(ValueError, match="no payment is known"):
        Return.open(replace(ORDER, payment_reference=None), NEW, UUID(int=3), NOON)
