"""A value is the same number in the response, in later reads and in the event."""

import json
from typing import Any

import pytest
from support.example.ada import ADDRESS, TEACUPS
from support.example.orders import an_order, created, place
from support.gateway.application import Gateway, exact_json

NUMBERS = ("quantity", "unit_price", "tax_rate")
EMPTY = ["", "   ", "\u200b", "\u3164", "\u2800 \u00a0", "\U000e0020\ufe0f"]
INVISIBLE = [
    "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u180b", "\u180e", "\u200b", "\u200d", "\u200e",
    "\u202e", "\u2060", "\u2064", "\u2069", "\u206f", "\u2800", "\u3164", "\ufe00", "\ufe0f", "\ufeff", "\uffa0",
    "\ufff9", "\U0001d159", "\U0001d173", "\U000e0001", "\U000e0041", "\U000e0100", "\u2003", "\u3000", "\u2028",
]  # fmt: skip


async def place_with_literals(gateway: Gateway, **literals: str) -> dict[str, Any]:
    """Place an order of two lines; the first has these number literals, such as `unit_price="1E+2"`."""
    line = json.dumps({**TEACUPS, **{name: f"<{name}>" for name in literals}})
    for name, literal in literals.items():
        line = line.replace(f'"<{name}>"', literal)
    body = json.dumps(an_order(line_items=["line", TEACUPS])).replace('"line"', line)
    response = await gateway.post("/orders", body)
    assert response.status_code == 201, response.text
    order: dict[str, Any] = exact_json(response)
    return order


async def event_of(gateway: Gateway, order_id: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(
        await gateway.pool.fetchval("SELECT payload FROM outbox WHERE aggregateid = $1", order_id)
    )
    return event


@pytest.mark.parametrize(
    ("literals", "line"),
    [
        ({"unit_price": "-0.0", "tax_rate": "-0"}, {"unit_price": "0.00", "tax_rate": "0.00"}),
        ({"unit_price": "-0", "tax_rate": "-0.000"}, {"unit_price": "0.00", "tax_rate": "0.00"}),
        ({"unit_price": "-0e5", "tax_rate": "-0E-2"}, {"unit_price": "0.00", "tax_rate": "0.00"}),
        ({"unit_price": "1E+2", "tax_rate": "2e1"}, {"unit_price": "100.00", "tax_rate": "20.00"}),
        ({"unit_price": "100", "tax_rate": "20.00"}, {"unit_price": "100.00", "tax_rate": "20.00"}),
        ({"unit_price": "10000e-2", "tax_rate": "20.000000"}, {"unit_price": "100.00", "tax_rate": "20.00"}),
        ({"unit_price": "0.10", "tax_rate": "5.5"}, {"unit_price": "0.10", "tax_rate": "5.50"}),
        ({"quantity": "1.0"}, {"quantity": 1}),
        ({"quantity": "1e0"}, {"quantity": 1}),
        ({"quantity": "1E+3"}, {"quantity": 1000}),
        ({"quantity": "1000000.000"}, {"quantity": 1_000_000}),
    ],
)
async def test_a_number_has_the_same_value_in_each_notation_and_each_response(
    gateway: Gateway, literals: dict[str, str], line: dict[str, Any]
) -> None:
    order = await place_with_literals(gateway, **literals)
    later_read = exact_json(await gateway.get(f"/orders/{order['id']}"))
    event = await event_of(gateway, order["id"])
    assert str(later_read) == str(order)
    assert {name: str(order["line_items"][0][name]) for name in line} == {name: str(line[name]) for name in line}
    for response_line, event_line in zip(order["line_items"], event["line_items"], strict=True):
        assert {name: str(response_line[name]) for name in NUMBERS} == {name: str(event_line[name]) for name in NUMBERS}
    for name in ("tax_amount", "total_amount"):
        assert str(order[name]) == event[name]
    for tax in event["taxes"]:
        assert not any(number.startswith("-") or "E" in number for number in tax.values())


async def test_equal_rates_are_taxed_together(gateway: Gateway) -> None:
    body = json.dumps(an_order(line_items=[{**TEACUPS, "tax_rate": rate} for rate in (20, "second", "third")]))
    order = created(await gateway.post("/orders", body.replace('"second"', "20.00").replace('"third"', "2E+1")))
    event = await event_of(gateway, order["id"])
    assert [tax["rate"] for tax in event["taxes"]] == ["20.00"]


@pytest.mark.parametrize("field", ["state", "zip"])
@pytest.mark.parametrize("text", EMPTY)
async def test_an_address_may_have_no_state_and_no_postal_code(gateway: Gateway, field: str, text: str) -> None:
    order = await place(gateway, shipping_address={**ADDRESS, field: text})
    event = await event_of(gateway, order["id"])
    assert order["shipping_address"][field] == event["shipping_address"][field] == ""
    assert (await gateway.get(f"/orders/{order['id']}")).json()["shipping_address"][field] == ""


@pytest.mark.parametrize("field", ["customer_name", "buyer_vat_id", "payment_method", "product_name", "street", "city"])
@pytest.mark.parametrize("character", INVISIBLE)
async def test_a_text_without_visible_characters_counts_as_empty(gateway: Gateway, field: str, character: str) -> None:
    for text in (character, f" {character} {character}"):
        body = an_order(**{field: text})
        if field == "product_name":
            body = an_order(line_items=[{**TEACUPS, field: text}])
        elif field in ADDRESS:
            body = an_order(billing_address={**ADDRESS, field: text})
        response = await gateway.post("/orders", body)
        assert response.status_code == 422, response.text
        assert response.json()["error"]["details"]["field"].endswith(field)


@pytest.mark.parametrize("name", ["葛\U000e0100城", "Ada \u200d\U0001f469\u200d\U0001f680", "\u200fשרה", "☎\ufe0f"])
async def test_a_name_keeps_the_invisible_characters_that_belong_to_it(gateway: Gateway, name: str) -> None:
    order = await place(gateway, customer_name=name)
    assert (await event_of(gateway, order["id"]))["customer_name"] == name


async def test_a_payment_method_may_be_as_long_as_the_contract_says(gateway: Gateway) -> None:
    order = await place(gateway, payment_method="m" * 255)
    assert order["payment_method"] == "m" * 255
