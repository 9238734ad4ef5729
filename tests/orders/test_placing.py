"""`POST /orders` and `GET /orders/{id}`: the order is stored once, with exact prices."""

import asyncio
import json
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from support.example.ada import ADA, TEACUPS, TOWEL
from support.example.orders import an_order, created, place
from support.gateway.application import Gateway, exact_json
from support.postgres.audit_and_events import audit_and_events, last_event

# The members of a response according to the contract.
CONTRACT = {
    "id",
    "customer_id",
    "order_number",
    "status",
    "total_amount",
    "currency",
    "payment_method",
    "payment_transaction_id",
    "shipping_address",
    "billing_address",
    "line_items",
    "created_at",
    "updated_at",
    "cancelled_at",
    "cancellation_reason",
    "customer_email",
    "customer_name",
    "buyer_vat_id",
    "payments",
    "tax_amount",
    "refund_status",
    "refund_transaction_id",
    "tracking_number",
    "carrier",
    "shipped_at",
    "delivered_at",
    "external_id",
    "metadata",
    "version",
}
LINE_CONTRACT = {"id", "product_id", "product_name", "quantity", "unit_price", "tax_rate", "subtotal", "created_at"}


async def test_a_new_order_waits_for_its_payment(gateway: Gateway) -> None:
    response = await gateway.post("/orders", an_order(), key="client")
    order = created(response)
    assert response.headers["Location"] == f"/api/v1/orders/{order['id']}"
    assert (await gateway.get(f"/orders/{order['id']}")).json() == order
    assert (order["status"], order["version"], order["refund_status"]) == ("PENDING_PAYMENT", 1, "NONE")
    assert order["customer_id"] == str(ADA)
    assert (order["customer_email"], order["customer_name"]) == ("ada@example.org", "Ada Łukasiewicz")
    assert (order["buyer_vat_id"], order["payments"]) == (None, [])
    assert order["shipping_address"] == an_order()["shipping_address"]
    assert order["created_at"] == order["updated_at"] == order["line_items"][0]["created_at"]
    stored_rows = await audit_and_events(gateway.pool, "ORDER", order["id"])
    assert stored_rows.transitions == [(None, "PENDING_PAYMENT", "ACCEPTED")]
    assert stored_rows.events == [("order.created", 1)]


async def test_order_numbers_name_the_year_and_rise(gateway: Gateway) -> None:
    first, second = await place(gateway), await place(gateway)
    name, year, number = first["order_number"].split("-")
    assert (name, year, len(number)) == ("ORD", first["created_at"][:4], 6)
    assert second["order_number"] > first["order_number"]


async def test_a_response_has_exactly_the_members_of_the_contract(gateway: Gateway) -> None:
    order = await place(gateway)
    assert set(order) == CONTRACT
    assert set(order["line_items"][0]) == LINE_CONTRACT


@pytest.mark.parametrize(
    ("address", "stored_address"),
    [
        ("user@münchen.example", "user@xn--mnchen-3ya.example"),
        (" user@MÜNCHEN.example ", "user@xn--mnchen-3ya.example"),
        ("user@例え.テスト", "user@xn--r8jz45g.xn--zckzah"),
        ("user@xn--mnchen-3ya.example", "user@xn--mnchen-3ya.example"),
        ("Ada.O'Neill+vase!#$%&*/=?^_`{|}~-@Customers.Example", "Ada.O'Neill+vase!#$%&*/=?^_`{|}~-@Customers.Example"),
    ],
)
async def test_an_international_domain_is_stored_as_its_a_label(
    gateway: Gateway, address: str, stored_address: str
) -> None:
    order = await place(gateway, customer_email=address)
    assert order["customer_email"] == stored_address
    assert (await gateway.get(f"/orders/{order['id']}")).json()["customer_email"] == stored_address
    assert (await last_event(gateway.pool, order["id"]))["customer_email"] == stored_address


async def test_the_sequence_of_lines_and_the_characters_of_texts_are_preserved(gateway: Gateway) -> None:
    lines = [{**TOWEL, "product_name": f"Handtuch № {number} “łódź”"} for number in range(200)]
    order = await place(gateway, line_items=lines)
    later_read = (await gateway.get(f"/orders/{order['id']}")).json()
    assert [line["product_name"] for line in later_read["line_items"]] == [line["product_name"] for line in lines]


@pytest.mark.parametrize(
    ("currency", "prices", "tax_rate", "total"),
    [
        ("EUR", ["0.1", "0.2"], "0", "0.30"),
        ("EUR", ["0.10", "0.20"], "20.00", "0.36"),
        ("EUR", ["999999999.99"], "8.25", "1082499999.99"),
        ("JPY", ["1000", "1e2"], "10", "1210"),
        ("KWD", ["1.005"], "5", "1.055"),
        ("CLF", ["0.0001"], "0", "0.0001"),
        ("EUR", ["1.1000000000000000000000000000000"], "0", "1.10"),
    ],
)
async def test_amounts_are_exact_to_the_last_digit(
    gateway: Gateway, currency: str, prices: list[str], tax_rate: str, total: str
) -> None:
    body = json.dumps(an_order(currency=currency, line_items=[{**TEACUPS, "quantity": 1}] * len(prices)))
    for price in prices:
        body = body.replace('"unit_price": 24.9', f'"unit_price": {price}', 1)
    response = await gateway.post("/orders", body.replace('"tax_rate": 19', f'"tax_rate": {tax_rate}'))
    order = created(response)
    assert f'"total_amount":{total},' in response.text
    later_read = exact_json(await gateway.get(f"/orders/{order['id']}"))
    assert Decimal(later_read["total_amount"]) == Decimal(total)
    assert [Decimal(line["unit_price"]) for line in later_read["line_items"]] == [Decimal(price) for price in prices]
    assert (await last_event(gateway.pool, order["id"]))["total_amount"] == total


async def test_optional_fields_may_be_omitted(gateway: Gateway) -> None:
    body = an_order(line_items=[{name: value for name, value in TEACUPS.items() if name != "tax_rate"}])
    for name in ("customer_email", "customer_name", "currency"):
        del body[name]
    order = created(await gateway.post("/orders", body))
    assert (order["currency"], order["customer_email"]) == ("USD", None)
    assert order["tax_amount"] == 0
    assert order["total_amount"] == 49.8


async def test_the_same_key_and_body_place_one_order(gateway: Gateway) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = await gateway.call("POST", "/orders", an_order(), headers=key)
    again = await gateway.call("POST", "/orders", an_order(), headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers


async def test_twenty_concurrent_requests_with_one_key_place_one_order(fresh_gateway: Gateway) -> None:
    key = {"Idempotency-Key": "one-for-all"}

    async def place_order() -> Any:
        return await fresh_gateway.call("POST", "/orders", an_order(), headers=key)

    responses = await asyncio.gather(*(place_order() for _ in range(20)))
    assert {response.status_code for response in responses} <= {201, 409}
    assert len({response.content for response in responses if response.status_code == 201}) == 1
    assert all(response.headers["Retry-After"] for response in responses if response.status_code == 409)
    assert (await fresh_gateway.get("/orders")).json()["pagination"]["total"] == 1


async def test_the_same_key_with_another_body_is_rejected(gateway: Gateway) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    await gateway.call("POST", "/orders", an_order(), headers=key)
    response = await gateway.call("POST", "/orders", an_order(payment_method="invoice"), headers=key)
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_refused_transition_may_be_retried_with_its_idempotency_key(gateway: Gateway) -> None:
    order = await place(gateway)
    path, body = f"/orders/{order['id']}/state", {"new_state": "PROCESSING_IN_WAREHOUSE"}
    key = {"Idempotency-Key": str(uuid4())}
    assert (await gateway.call("PATCH", path, body, headers=key)).status_code == 409
    await gateway.patch(path, {"new_state": "PAID"})
    assert (await gateway.call("PATCH", path, body, headers=key)).status_code == 200
