"""Ada's order over HTTP: bodies, and orders brought into each state."""

from typing import Any
from uuid import uuid4

from httpx import Response
from support.example.ada import ADDRESS, CUSTOMER, PAYMENT, TEACUPS, TOWEL
from support.gateway.application import Gateway

# For each state, the changes from a new order to it.
PATHS: dict[str, tuple[dict[str, str], ...]] = {
    "PENDING_PAYMENT": (),
    "PAID": ({"new_state": "PAID", "payment_transaction_id": PAYMENT},),
    "CANCELLED": ({"new_state": "CANCELLED", "reason": "changed her mind"},),
}
PATHS["PROCESSING_IN_WAREHOUSE"] = (*PATHS["PAID"], {"new_state": "PROCESSING_IN_WAREHOUSE"})
PATHS["SHIPPED"] = (
    *PATHS["PROCESSING_IN_WAREHOUSE"],
    {"new_state": "SHIPPED", "tracking_number": "JJD0099", "carrier": "DHL"},
)
PATHS["DELIVERED"] = (*PATHS["SHIPPED"], {"new_state": "DELIVERED"})
PATHS["CANCELLED_AFTER_PAYMENT"] = (*PATHS["PAID"], *PATHS["CANCELLED"])


def an_order(**changes: Any) -> dict[str, Any]:
    """A body for `POST /orders`, of 68.30 EUR net and 79.06 EUR with tax."""
    return {
        **CUSTOMER,
        "currency": "EUR",
        "line_items": [TEACUPS, TOWEL],
        "payment_method": "card",
        "shipping_address": ADDRESS,
        "billing_address": ADDRESS,
        **changes,
    }


async def place(gateway: Gateway, **changes: Any) -> dict[str, Any]:
    return created(await gateway.post("/orders", an_order(**changes)))


def created(response: Response) -> dict[str, Any]:
    assert response.status_code == 201, response.text
    order: dict[str, Any] = response.json()
    return order


async def place_in(gateway: Gateway, state: str, **changes: Any) -> dict[str, Any]:
    """An order in this state, brought there by its transitions (see `PATHS`)."""
    order = await place(gateway, **changes)
    for change in PATHS[state]:
        response = await gateway.patch(f"/orders/{order['id']}/state", change)
        assert response.status_code == 200, response.text
        order = response.json()
    return order


def an_order_id() -> str:
    """The id of an order that does not exist."""
    return str(uuid4())
