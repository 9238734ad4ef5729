"""The running example of the tests: Ada orders two teacups and a linen towel."""

from typing import Any
from uuid import UUID, uuid4

from httpx import Response
from support.gateway.application import Gateway

ADA = UUID("0ada0ada-0000-4000-8000-000000000001")
ADDRESS = {
    "street": "Großer Hirschgraben 23",
    "city": "Frankfurt am Main",
    "state": "Hessen",
    "zip": "60311",
    "country": "DE",
}
TEACUPS: dict[str, Any] = {
    "product_id": "5fb4e3d9-7a46-4dfa-b4c2-fac97b08b371",
    "product_name": "Teacup, celadon glaze",
    "quantity": 2,
    "unit_price": 24.90,
    "tax_rate": 19,
}
TOWEL: dict[str, Any] = {
    "product_id": "7ed589c8-dfb3-49b2-8561-68e999a4410c",
    "product_name": "Linen towel “Małgorzata”",
    "quantity": 1,
    "unit_price": 18.50,
    "tax_rate": 7,
}
# Each state and the changes that lead there from a new order.
PATHS: dict[str, tuple[dict[str, str], ...]] = {
    "PENDING_PAYMENT": (),
    "PAID": ({"new_state": "PAID", "payment_transaction_id": "ch_teacups"},),
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
        "customer_id": str(ADA),
        "customer_email": "ada@example.org",
        "customer_name": "Ada Łukasiewicz",
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
    """An order that was brought into this state the regular way (see `PATHS`)."""
    order = await place(gateway, **changes)
    for change in PATHS[state]:
        response = await gateway.patch(f"/orders/{order['id']}/state", change)
        assert response.status_code == 200, response.text
        order = response.json()
    return order


def an_order_id() -> str:
    """Of an order that there is not."""
    return str(uuid4())
