"""What an order tells is written without its model (ADR 0015), and is what the model promises, to the letter."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from orders.domain import Address, Customer, NewLine, NewOrder, Order, Payment
from orders.events import OrderData, order_data

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(microseconds=12_300)
HOME = Address("Großer Hirschgraben 23", "Frankfurt am Main", "Hessen", "60311", "DE")
TEACUPS = NewLine(UUID(int=3), "Teacup “celadon”", 2, Decimal("24.9"), Decimal("19.00"))
TOWEL = NewLine(UUID(int=4), "Linen towel", 1, Decimal("18.50"), Decimal("7.00"))
PLACED = Order.place(
    NewOrder(Customer(UUID(int=1), "ada@example.org", None, None), "EUR", (TEACUPS, TOWEL), "card", HOME, HOME),
    UUID(int=2),
    "ORD-2026-000001",
    NOW,
)
PAID = PLACED.pay(LATER)
CANCELLED = PAID.cancel(LATER, "changed her mind")
STAGES = {
    "created": PLACED,
    "paid": PAID,
    "shipped": PAID.start_processing(LATER).ship(LATER, "JJD0099", "DHL"),
    "cancelled": CANCELLED,
}


@pytest.mark.parametrize("stage", STAGES)
def test_an_event_says_what_its_model_would(stage: str) -> None:
    told = order_data(STAGES[stage])
    assert json.loads(OrderData.model_validate_json(told).model_dump_json()) == json.loads(told)


def test_a_late_payment_is_told_by_reference_and_amount() -> None:
    told = OrderData.model_validate_json(order_data(CANCELLED, Payment("ch_late", Decimal("79.06"), late=True)))
    assert told.late_payment is not None
    assert (told.late_payment.reference, told.late_payment.amount) == ("ch_late", Decimal("79.06"))
