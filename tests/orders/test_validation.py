"""Invalid orders are rejected with 422, which names every field, and nothing is stored."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from orders.schemas.requests import LineItem
from support.example.ada import ADDRESS, TEACUPS
from support.example.orders import an_order, created, place
from support.gateway.application import Gateway

# Patterns of regular expressions, names of Python's enumerations, and the length of a text in "items".
INTERNAL_TERMS = re.compile(r"pattern|<\w+\.|Value should have at most \d+ items")
BAD_FIELDS: list[tuple[str, Any, str]] = [
    ("customer_id", None, "customer_id"),
    ("customer_id", "ada", "customer_id"),
    ("customer_id", 7, "customer_id"),
    ("customer_email", "ada", "customer_email"),
    ("customer_email", "ada@example", "customer_email"),
    ("customer_email", "ada@example.org, eve@example.org", "customer_email"),
    ("customer_email", "ada@example.org\r\nBcc: eve@example.org", "customer_email"),
    ("customer_email", "a" * 250 + "@example.org", "customer_email"),
    ("customer_email", "ädä@example.org", "customer_email"),
    ("customer_email", "ada@-example.org", "customer_email"),
    ("customer_email", "=?utf-8?q?abc?=@customers.example", "customer_email"),
    ("customer_email", "=?utf-8?q?abc=40elsewhere=2Eexample?=@customers.example", "customer_email"),
    ("customer_email", "x=?utf-8?b?YQ==?=@customers.example", "customer_email"),
    ("customer_email", '"ada lovelace"@example.org', "customer_email"),
    ("customer_email", "Ada <ada@example.org>", "customer_email"),
    ("customer_email", "ada@[192.0.2.1]", "customer_email"),
    ("customer_email", "ada..l@example.org", "customer_email"),
    ("customer_email", "a" * 65 + "@example.org", "customer_email"),
    ("customer_email", "ada@☃.example", "customer_email"),
    ("customer_email", "ada@" + "ü" * 60 + ".example", "customer_email"),
    ("customer_name", "A" * 256, "customer_name"),
    ("customer_name", "Ada\nLukasiewicz", "customer_name"),
    ("customer_name", "Ada\u0000", "body"),
    ("customer_name", "   ", "customer_name"),
    ("customer_name", "\u200b", "customer_name"),
    ("payment_method", "\u3164\u2800", "payment_method"),
    ("shipping_address", {**ADDRESS, "city": "\u00ad"}, "shipping_address.city"),
    ("buyer_vat_id", "D" * 51, "buyer_vat_id"),
    ("currency", "EURO", "currency"),
    ("currency", "eur", "currency"),
    ("currency", "XYZ", "currency"),
    ("currency", None, "currency"),
    ("payment_method", "", "payment_method"),
    ("payment_method", "x" * 256, "payment_method"),
    ("line_items", [], "line_items"),
    ("line_items", [TEACUPS] * 201, "line_items"),
    ("line_items", [{**TEACUPS, "unit_price": 0}], "line_items"),
    ("line_items", [{**TEACUPS, "unit_price": 999_999_999, "quantity": 1_000_000}], "line_items"),
    ("line_items", {"0": TEACUPS}, "line_items"),
    ("shipping_address", {**ADDRESS, "planet": "Earth"}, "shipping_address.planet"),
    ("shipping_address", "Großer Hirschgraben 23", "shipping_address"),
    ("coupon", "SAVE10", "coupon"),
    ("status", "PAID", "status"),
    ("total_amount", 1, "total_amount"),
]
ADDRESS_LENGTHS = {"street": 255, "city": 100, "state": 50, "zip": 20, "country": 50}
BAD_LINES: list[tuple[str, str]] = [
    ("product_id", '"teacup"'),
    ("product_id", "1"),
    ("product_name", '""'),
    ("product_name", '"' + "T" * 256 + '"'),
    ("product_name", "null"),
    ("quantity", "0"),
    ("quantity", "-1"),
    ("quantity", "1000001"),
    ("quantity", "1.5"),
    ("quantity", "2.0000000000000000000000000000000001"),
    ("quantity", "1e999999"),
    ("quantity", "0e999999"),
    ("quantity", "-0.0"),
    ("quantity", "true"),
    ("quantity", '"2"'),
    ("quantity", "1e400"),
    ("unit_price", "-0.01"),
    ("unit_price", "1000000000"),
    ("unit_price", "1e999999999"),
    ("unit_price", "24.901"),
    ("unit_price", "24.9000000000000000000000000000000000001"),
    ("unit_price", "1e-400"),
    ("unit_price", '"24.90"'),
    ("unit_price", "true"),
    ("unit_price", "null"),
    ("tax_rate", "-0.01"),
    ("tax_rate", "100.01"),
    ("tax_rate", "19.001"),
    ("tax_rate", "1e30"),
    ("tax_rate", '"19"'),
    ("tax_rate", "null"),
    ("colour", '"celadon"'),
]


async def invalid_fields(gateway: Gateway, body: Any, path: str = "/orders", method: str = "POST") -> list[str]:
    """The fields that are reported as invalid, after a check that the response is the contract's 422."""
    response = await gateway.call(method, path, body)
    assert response.status_code == 422, response.text
    error = response.json()["error"]
    details = error["details"]
    assert error["code"] == "VALIDATION_ERROR"
    assert details["errors"][0] == {"field": details["field"], "issue": details["issue"]}
    for each in details["errors"]:
        assert each["issue"]
        assert not INTERNAL_TERMS.search(each["issue"]), each
    return [each["field"] for each in details["errors"]]


@pytest.mark.parametrize(("field", "value", "invalid_field"), BAD_FIELDS)
async def test_an_order_with_an_invalid_field_is_rejected(
    gateway: Gateway, field: str, value: Any, invalid_field: str
) -> None:
    assert await invalid_fields(gateway, an_order(**{field: value})) == [invalid_field]


@pytest.mark.parametrize(("field", "literal"), BAD_LINES)
async def test_an_invalid_line_is_rejected(gateway: Gateway, field: str, literal: str) -> None:
    line = json.dumps({**TEACUPS, field: "here"}).replace('"here"', literal)
    body = json.dumps(an_order(line_items=["first", "second"]))
    body = body.replace('"first"', json.dumps(TEACUPS)).replace('"second"', line)
    assert await invalid_fields(gateway, body) == [f"line_items.1.{field}"]


@pytest.mark.parametrize(("field", "longest"), ADDRESS_LENGTHS.items())
async def test_address_fields_have_maximum_lengths(gateway: Gateway, field: str, longest: int) -> None:
    order = created(await gateway.post("/orders", an_order(billing_address={**ADDRESS, field: "ß" * longest})))
    assert order["billing_address"][field] == "ß" * longest
    too_long = an_order(billing_address={**ADDRESS, field: "x" * (longest + 1)})
    assert await invalid_fields(gateway, too_long) == [f"billing_address.{field}"]


@pytest.mark.parametrize("field", [*an_order(), *TEACUPS, *ADDRESS])
async def test_an_order_without_a_required_field_is_rejected(gateway: Gateway, field: str) -> None:
    optional = {"customer_email", "customer_name", "currency", "tax_rate"}
    body = json.loads(
        json.dumps(an_order(line_items=[{**TEACUPS, "unit_price": 25}])),
        object_hook=lambda members: {name: value for name, value in members.items() if name != field},
    )
    response = await gateway.post("/orders", body)
    assert response.status_code == (201 if field in optional else 422)


@pytest.mark.parametrize(
    ("currency", "price", "fits"),
    [("JPY", 10, True), ("JPY", 10.5, False), ("KWD", 1.125, True), ("KWD", 1.1255, False), ("CLF", 1.1255, True)],
)
async def test_prices_have_no_more_decimals_than_their_currency(
    gateway: Gateway, currency: str, price: float, fits: bool
) -> None:
    body = an_order(currency=currency, line_items=[{**TEACUPS, "unit_price": price}])
    if fits:
        created(await gateway.post("/orders", body))
    else:
        assert await invalid_fields(gateway, body) == ["line_items.0.unit_price"]


def test_the_json_schema_states_the_bounds_of_prices_and_rates() -> None:
    properties = LineItem.model_json_schema()["properties"]
    price, rate = (
        {name: properties[field][name] for name in properties[field] if name != "title"}
        for field in ("unit_price", "tax_rate")
    )
    assert price == {"type": "number", "minimum": 0, "exclusiveMaximum": 1_000_000_000}
    assert rate == {"type": "number", "minimum": 0, "maximum": 100, "default": 0}


async def test_all_validation_errors_are_reported_together(gateway: Gateway) -> None:
    body = an_order(customer_id="ada", line_items=[{**TEACUPS, "quantity": 0}, {**TEACUPS, "tax_rate": 101}])
    assert await invalid_fields(gateway, body) == ["customer_id", "line_items.0.quantity", "line_items.1.tax_rate"]


@pytest.mark.parametrize(
    ("body", "invalid_field"),
    [
        ({}, "new_state"),
        ({"new_state": "LOST"}, "new_state"),
        ({"new_state": "paid"}, "new_state"),
        ({"new_state": "CANCELLED"}, "reason"),
        ({"new_state": "CANCELLED", "reason": "  "}, "reason"),
        ({"new_state": "PAID", "reason": "x" * 501}, "reason"),
        ({"new_state": "PAID", "reason": "a\u0007bell"}, "reason"),
        ({"new_state": "PAID", "tracking_number": "JJD0099"}, "tracking_number"),
        ({"new_state": "PAID", "carrier": "DHL"}, "carrier"),
        ({"new_state": "PAID", "payment_transaction_id": "x" * 256}, "payment_transaction_id"),
        ({"new_state": "SHIPPED", "payment_transaction_id": "ch_1"}, "payment_transaction_id"),
        ({"new_state": "SHIPPED", "tracking_number": "x" * 101}, "tracking_number"),
        ({"new_state": "PAID", "version": 1}, "version"),
    ],
)
async def test_a_state_change_is_validated_before_the_order_is_read(
    gateway: Gateway, body: dict[str, Any], invalid_field: str
) -> None:
    order = await place(gateway)
    assert await invalid_fields(gateway, body, f"/orders/{order['id']}/state", "PATCH") == [invalid_field]


async def test_a_reason_may_have_several_lines(gateway: Gateway) -> None:
    order = await place(gateway)
    response = await gateway.post(f"/orders/{order['id']}/cancel", {"reason": " too late,\n\ttoo blue "})
    assert response.json()["cancellation_reason"] == "too late,\n\ttoo blue"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": None}, {"reason": "x" * 501}, {"reason": 1}])
async def test_cancelling_requires_a_reason(gateway: Gateway, body: dict[str, Any]) -> None:
    order = await place(gateway)
    assert await invalid_fields(gateway, body, f"/orders/{order['id']}/cancel") == ["reason"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=ten",
        "limit=1_0",
        "limit=%2B10",
        "limit=%2010",
        "limit=%D9%A1",
        "limit=1e1",
        "offset=-1",
        "offset=0x1",
        "offset=9223372036854775808",
        "status=LOST",
        "customer_id=ada",
        "created_from=yesterday",
        "created_to=1700000000",
        "created_from=9999-12-31T23:59:59-23:59",
        "created_from=2026-11-22-10:00",
        "created_from=2026-11-22x10:00:00Z",
    ],
)
async def test_an_invalid_query_is_rejected(gateway: Gateway, query: str) -> None:
    assert await invalid_fields(gateway, None, f"/orders?{query}", "GET") == [query.partition("=")[0]]


@pytest.mark.parametrize(
    "query",
    [
        "limit=010&offset=0",
        "limit=10.0&offset=-0",
        "created_from=2026-11-22",
        "created_from=20261122T100000Z",
        "created_from=2026-W47-7T10:00%2B01:00",
        "created_from=2026-11-22+10:00:00.5",
    ],
)
async def test_numbers_and_times_are_accepted_in_each_standard_form(gateway: Gateway, query: str) -> None:
    assert (await gateway.get(f"/orders?{query}")).status_code == 200


async def test_an_id_is_a_uuid(gateway: Gateway) -> None:
    assert await invalid_fields(gateway, None, "/orders/ORD-2026-000001", "GET") == ["order_id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "BAD_REQUEST"),
        ('{"customer_id": NaN}', 400, "BAD_REQUEST"),
        ('{"customer_name": "\\ud800"}', 400, "BAD_REQUEST"),
        (b'{"customer_name": "\xff"}', 400, "BAD_REQUEST"),
        ("[" * 100_000, 400, "BAD_REQUEST"),
        ("[]", 422, "VALIDATION_ERROR"),
        ("null", 422, "VALIDATION_ERROR"),
        ("", 422, "VALIDATION_ERROR"),
        (" " * 1_100_000, 413, "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_a_body_that_is_not_an_order_is_rejected(
    gateway: Gateway, body: str | bytes, status: int, code: str
) -> None:
    response = await gateway.call("POST", "/orders", body)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_a_rejected_order_stores_no_rows(fresh_gateway: Gateway) -> None:
    await invalid_fields(fresh_gateway, an_order(line_items=[{**TEACUPS, "unit_price": 0}]))
    count: Callable[[str], Any] = fresh_gateway.pool.fetchval
    tables = ("orders", "order_lines", "audit", "outbox", "outbox_pending", "order_count_changes", "idempotency_keys")
    for table in tables:
        assert await count(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - names from the line above
