"""The states of an order: which commands each of them allows, and any sequence of commands."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orders.domain.new_order import Address, NewOrder
from orders.domain.order import Order
from orders.domain.payment import Payment, PaymentKind
from orders.domain.pricing import NewLine
from orders.domain.states import ALLOWED_TRANSITIONS, OrderStatus, RefundStatus, TransitionRefused

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORDER_ID = UUID(int=1)
ADDRESS = Address("Großer Hirschgraben 23", "Frankfurt am Main", "Hessen", "60311", "DE")
NEW = NewOrder(
    customer_id=UUID(int=2),
    customer_email="ada@example.org",
    customer_name="Ada",
    buyer_vat_id=None,
    currency="EUR",
    lines=(NewLine(UUID(int=3), "Teacup", 2, Decimal("24.90"), Decimal(19)),),
    payment_method="card",
    shipping_address=ADDRESS,
    billing_address=ADDRESS,
)
PENDING = Order.place(NEW, ORDER_ID, "ORD-2026-000001", NOON)

Command = Callable[[Order], Order]
COMMANDS: dict[OrderStatus, Command] = {
    OrderStatus.PAID: lambda order: order.pay(NOON, "ch_teacups"),
    OrderStatus.PROCESSING_IN_WAREHOUSE: lambda order: order.start_processing(NOON),
    OrderStatus.SHIPPED: lambda order: order.ship(NOON, "JJD0099", "DHL"),
    OrderStatus.DELIVERED: lambda order: order.deliver(NOON),
    OrderStatus.CANCELLED: lambda order: order.cancel(NOON, "changed her mind"),
}
# The transitions of the contract, independent of the code.
ALLOWED = {
    ("PENDING_PAYMENT", "PAID"),
    ("PENDING_PAYMENT", "CANCELLED"),
    ("PAID", "PROCESSING_IN_WAREHOUSE"),
    ("PAID", "CANCELLED"),
    ("PROCESSING_IN_WAREHOUSE", "SHIPPED"),
    ("SHIPPED", "DELIVERED"),
}


@pytest.mark.parametrize("target", COMMANDS)
@pytest.mark.parametrize("state", OrderStatus)
def test_each_command_is_allowed_exactly_where_the_contract_allows_it(state: OrderStatus, target: OrderStatus) -> None:
    order = replace(PENDING, status=state)
    if (state, target) in ALLOWED:
        changed = COMMANDS[target](order)
        assert (changed.status, changed.version) == (target, order.version + 1)
    else:
        with pytest.raises(TransitionRefused) as raised:
            COMMANDS[target](order)
        assert (raised.value.current, raised.value.requested) == (state, target)
        assert {(state, allowed) for allowed in raised.value.allowed} == {pair for pair in ALLOWED if pair[0] == state}


@given(st.lists(st.sampled_from(sorted(COMMANDS))))
def test_no_sequence_of_commands_leaves_the_allowed_paths(targets: list[OrderStatus]) -> None:
    order = PENDING
    for target in targets:
        before = order
        try:
            order = COMMANDS[target](order)
        except TransitionRefused:
            assert order is before
        else:
            assert (before.status, order.status) in ALLOWED
            assert order.version == before.version + 1
    assert (order.paid_at is None) == (order.captured_amount is None) == (order.payment_reference is None)
    assert (order.cancelled_at is not None) == (order.status is OrderStatus.CANCELLED)
    is_refund_owed = order.status is OrderStatus.CANCELLED and order.captured_amount is not None
    assert order.refund_status is (RefundStatus.PENDING if is_refund_owed else RefundStatus.NONE)


def test_delivered_and_cancelled_are_terminal() -> None:
    assert [state for state, allowed in ALLOWED_TRANSITIONS.items() if not allowed] == ["DELIVERED", "CANCELLED"]


def test_each_change_stores_its_time_and_its_parameters() -> None:
    times = [NOON + timedelta(hours=hours) for hours in range(5)]
    paid = PENDING.pay(times[1], "ch_teacups")
    delivered = paid.start_processing(times[2]).ship(times[3], "JJD0099", "DHL").deliver(times[4])
    assert (delivered.created_at, delivered.paid_at) == (NOON, times[1])
    assert (delivered.shipped_at, delivered.delivered_at, delivered.updated_at) == (times[3], times[4], times[4])
    assert (delivered.tracking_number, delivered.carrier) == ("JJD0099", "DHL")
    assert delivered.captured_amount == delivered.total_amount == Decimal("59.26")


def test_a_payment_is_identified_by_its_transaction_id_or_else_by_its_order() -> None:
    assert PENDING.payment_reference is None
    assert PENDING.pay(NOON, "ch_teacups").payment_reference == "ch_teacups"
    assert PENDING.pay(NOON).payment_reference == f"order-{ORDER_ID}"


def test_a_cancelled_order_owes_a_refund_only_if_it_was_paid() -> None:
    assert PENDING.cancel(NOON, "no").refund_status is RefundStatus.NONE
    assert PENDING.pay(NOON).cancel(NOON, "no").refund_status is RefundStatus.PENDING


def test_a_payment_after_the_cancellation_must_be_refunded() -> None:
    cancelled = PENDING.cancel(NOON, "no")
    late = cancelled.add_payment(NOON, "ch_late")
    assert (late.status, late.refund_status) == (OrderStatus.CANCELLED, RefundStatus.PENDING)
    assert late.version == cancelled.version + 1
    assert late.payments == (Payment("ch_late", PENDING.total_amount, PaymentKind.LATE, NOON),)


def test_a_payment_for_a_paid_order_must_be_refunded_and_changes_nothing_else() -> None:
    paid = PENDING.pay(NOON, "ch_teacups")
    twice = paid.add_payment(NOON, "ch_second")
    assert twice.payments[-1] == Payment("ch_second", PENDING.total_amount, PaymentKind.SURPLUS, NOON)
    assert [twice.refund_status_of(payment) for payment in twice.payments] == ["NONE", "PENDING"]
    assert replace(twice, payments=paid.payments, version=paid.version) == paid


def test_the_refund_of_a_surplus_payment_does_not_change_the_refund_status_of_the_order() -> None:
    twice = PENDING.pay(NOON, "ch_teacups").add_payment(NOON, "ch_second")
    captured, surplus = twice.payments
    failed = replace(surplus, refund_status=RefundStatus.FAILED)
    assert twice.apply_refunds(NOON, (captured, failed)).refund_status is RefundStatus.NONE
    cancelled = twice.cancel(NOON, "no").apply_refunds(NOON, (captured, failed))
    assert {payment.reference: cancelled.refund_status_of(payment) for payment in cancelled.payments} == {
        "ch_teacups": "PENDING",
        "ch_second": "FAILED",
    }
    assert cancelled.refund_status is RefundStatus.PENDING


def _order_with_refunds(*results: RefundStatus | None) -> Order:
    payments = tuple(
        Payment(
            f"ch_{number}",
            Decimal(1),
            PaymentKind.LATE if number else PaymentKind.CAPTURED,
            NOON,
            refund_status=result,
            refund_transaction_id=None if result is None else f"re_{number}",
        )
        for number, result in enumerate(results)
    )
    return PENDING.cancel(NOON, "no").apply_refunds(NOON, payments)


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ((RefundStatus.SUCCEEDED,), RefundStatus.SUCCEEDED),
        ((RefundStatus.FAILED,), RefundStatus.FAILED),
        ((RefundStatus.SUCCEEDED, None), RefundStatus.PENDING),
        ((RefundStatus.FAILED, None), RefundStatus.PENDING),
        ((RefundStatus.SUCCEEDED, RefundStatus.FAILED), RefundStatus.FAILED),
        ((RefundStatus.SUCCEEDED, RefundStatus.SUCCEEDED), RefundStatus.SUCCEEDED),
        ((RefundStatus.PROCESSING, RefundStatus.FAILED), RefundStatus.PROCESSING),
        ((RefundStatus.PROCESSING, None), RefundStatus.PENDING),
        ((RefundStatus.REVERSED, RefundStatus.SUCCEEDED), RefundStatus.REVERSED),
        ((RefundStatus.REVERSED, RefundStatus.FAILED), RefundStatus.FAILED),
    ],
)
def test_the_order_shows_the_least_complete_status_of_its_refunds(
    results: tuple[RefundStatus | None, ...], status: RefundStatus
) -> None:
    assert _order_with_refunds(*results).refund_status is status


def test_the_last_known_transaction_of_a_refund_is_that_of_the_order() -> None:
    assert _order_with_refunds(RefundStatus.SUCCEEDED, RefundStatus.SUCCEEDED).refund_transaction_id == "re_1"
    assert _order_with_refunds(RefundStatus.REVERSED).refund_transaction_id == "re_0"
    assert _order_with_refunds(None).refund_transaction_id is None
