"""The payload of order events, which is written without its model (ADR 15), equals what the model writes."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from orders.domain.new_order import Address, NewOrder
from orders.domain.order import Order
from orders.domain.pricing import NewLine
from orders.events import LATE_PAYMENT, PAYMENT_IDENTIFIED, SURPLUS_PAYMENT, OrderData, order_data

CREATED_AT = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
CHANGED_AT = CREATED_AT + timedelta(microseconds=12_300)
HOME = Address("Großer Hirschgraben 23", "Frankfurt am Main", "Hessen", "60311", "DE")
TEACUPS = NewLine(UUID(int=3), "Teacup “celadon”", 2, Decimal("24.9"), Decimal("19.00"))
TOWEL = NewLine(UUID(int=4), "Linen towel", 1, Decimal("18.50"), Decimal("7.00"))
PLACED = Order.place(
    NewOrder(UUID(int=1), "ada@example.org", None, None, "EUR", (TEACUPS, TOWEL), "card", HOME, HOME),
    UUID(int=2),
    "ORD-2026-000001",
    CREATED_AT,
)
PAID = PLACED.pay(CHANGED_AT)
CANCELLED = PAID.cancel(CHANGED_AT, "changed her mind")
STAGES = {
    "created": PLACED,
    "paid": PAID,
    "shipped": PAID.start_processing(CHANGED_AT).ship(CHANGED_AT, "JJD0099", "DHL"),
    "cancelled": CANCELLED,
}


@pytest.mark.parametrize("stage", STAGES)
def test_the_data_of_an_event_equals_the_output_of_its_model(stage: str) -> None:
    data = order_data(STAGES[stage])
    assert json.loads(OrderData.model_validate_json(data).model_dump_json()) == json.loads(data)


@pytest.mark.parametrize(
    ("event_type", "order", "field"),
    [(LATE_PAYMENT, CANCELLED, "late_payment"), (SURPLUS_PAYMENT, PAID, "surplus_payment")],
)
def test_the_event_of_an_unexpected_payment_has_its_reference_and_amount_and_all_payments(
    event_type: str, order: Order, field: str
) -> None:
    changed = order.add_payment(CHANGED_AT, "ch_again")
    data = OrderData.model_validate_json(order_data(changed, event_type, changed.payments[-1]))
    payment_data = getattr(data, field)
    assert (payment_data.reference, payment_data.amount) == ("ch_again", PLACED.total_amount)
    assert [payment.reference for payment in data.payments] == [f"order-{PLACED.id}", "ch_again"]
    assert [payment.refund_status for payment in data.payments][-1] == "PENDING"
    assert [data.late_payment, data.surplus_payment].count(None) == 1
    assert data.identified_payment is None


def test_the_event_of_an_identified_payment_has_both_references() -> None:
    identified = CANCELLED.identify_payment(CHANGED_AT, CANCELLED.payments[0], "ch_teacups")
    data = OrderData.model_validate_json(order_data(identified, PAYMENT_IDENTIFIED, identified.payments[0]))
    assert data.identified_payment is not None
    assert data.identified_payment.first_reference == f"order-{PLACED.id}"
    assert data.identified_payment.reference == data.payment_reference == data.payment_transaction_id == "ch_teacups"
