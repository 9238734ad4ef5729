"""Hostile texts in each text field of an order are stored unchanged or rejected, and never cause a 500."""

# ruff: noqa: RUF001 - ambiguous characters are the subject of this module

from typing import Any
from urllib.parse import quote

import pytest
from common.text.visible import shows_nothing
from support.example.ada import ADDRESS, TEACUPS
from support.example.orders import an_order, place, place_in
from support.gateway.application import Gateway

TEXTS = [
    "undefined", "null", "NaN", "Infinity", "true", "None", "\\", "\\\\", "0", "1.00", "-1E+02",
    "0x1F", "1/0", "1,000.00", "'; DROP TABLE orders; --", "1' OR '1'='1", "\" OR \"\"=\"",
    "%s%n%d", "%00", "{0}", "{{7*7}}", "${jndi:ldap://x/a}", "$(id)", "`id`", "| id", "; id",
    "../../../etc/passwd", "..\\..\\windows", "file:///etc/passwd", "<script>alert(1)</script>",
    "]]>", "<!--#exec cmd=\"id\"-->",
    "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
    "&lt;b&gt;", "javascript:alert(1)", "=cmd|' /C calc'!A0", "@SUM(1+1)", "+1", "-1", "CON",
    "NUL", "AUX", "LPT1", "~", "*", "?", "#", "&", "田中さんにあげて下さい", "울란바토르", "Ω≈ç√∫", "ЁЂЃЄ",
    "٠١٢٣٤", "⁰⁴⁵", "𝕋𝕙𝕖 𝕢𝕦𝕚𝕔𝕜", "Ｔｈｅ", "ﷺ", "﷽", "👩🏽", "🇺🇸🇷🇺", "👨‍👩‍👧‍👦", "0️⃣",
    "(╯°□°）╯︵ ┻━┻)", "T\u0315\u035eo\u0320 \u0337i\u0332n\u031dv\u0316", "a" + "\u0301" * 100,
    "\u202etest\u202c", "\u2066test\u2069", "\ufefftest", "te\u2060st", "הָיְתָהtestالصفحات",
    "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\ue000", "İstanbul ıI", "ß", "ﬀ", "e\u0301",
    "é", "\u212b", "ǆ", "\u00a0x\u3000", "x\u2028y", "x\u0085y", "x\x1b[31my", "x\x07", "x\x7f",
    "x\ty", "x\ny", "x\r\ny", "x\x00y", "\u200b", "\u3164", "\u2800", "", " ", "\t",
    "\U000e0001\U000e0020", "Power لُلُصّبُلُلصّبُررً ॣ ॣh ॣ ॣ 冗", "జ్ఞ‌ా", "A" * 255, "𐀀" * 50,
]  # fmt: skip
LINES = {"customer_name", "payment_method", "product_name", "street", "city", "country", "external_id", "metadata"}
MAY_BE_EMPTY = {"state", "zip"}
SHORTEST_LIMIT = 20


def order_with(field: str, text: str) -> dict[str, Any]:
    if field in ADDRESS:
        return an_order(shipping_address={**ADDRESS, field: text})
    if field == "product_name":
        return an_order(line_items=[{**TEACUPS, field: text}])
    return an_order(**{field: {"label": text} if field == "metadata" else text})


def text_of(order: dict[str, Any], field: str) -> str:
    owner = order["shipping_address"] if field in ADDRESS else order["line_items"][0] if field in TEACUPS else order
    text: str = owner[field]["label"] if field == "metadata" else owner[field]
    return text


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:30]))
async def test_a_hostile_text_is_stored_unchanged_or_rejected(gateway: Gateway, text: str) -> None:
    for field in sorted({*LINES, *MAY_BE_EMPTY} - {"customer_name"}):
        response = await gateway.post("/orders", order_with(field, text))
        assert response.status_code in (201, 422), (field, response.text)
        if response.status_code == 201:
            expected_text = "" if shows_nothing(text) else text.strip()
            order = (await gateway.get(f"/orders/{response.json()['id']}")).json()
            assert text_of(response.json(), field) == text_of(order, field) == expected_text
        elif text.isprintable() and 0 < len(text.strip()) <= SHORTEST_LIMIT and not shows_nothing(text):
            raise AssertionError(f"{field} rejects {text!r}: {response.text}")


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:30]))
async def test_a_hostile_text_anywhere_else_causes_no_internal_error(gateway: Gateway, text: str) -> None:
    order = await place(gateway)
    responses = [
        await gateway.post("/orders", {**an_order(), text: text}),
        await gateway.post("/orders", order_with("customer_id", text)),
        await gateway.post("/orders", order_with("customer_email", text)),
        await gateway.post("/orders", order_with("currency", text)),
        await gateway.post("/orders", order_with("buyer_vat_id", text)),
        await gateway.post("/orders", an_order(metadata={text: text})),
        await gateway.patch(f"/orders/{order['id']}", {"external_id": text, "metadata": {text: text, "label": text}}),
        await gateway.post("/orders", an_order(line_items=[{**TEACUPS, "unit_price": text}])),
        await gateway.patch(f"/orders/{order['id']}/state", {"new_state": text}),
        await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID", "payment_transaction_id": text}),
        await gateway.post(f"/orders/{order['id']}/cancel", {"reason": text}),
        await gateway.get(f"/orders/{quote(text, safe='')}/history"),
        await gateway.get(f"/orders?status={quote(text, safe='')}"),
        await gateway.get(f"/orders?{quote(text, safe='')}={quote(text, safe='')}"),
    ]
    assert all(response.status_code < 500 for response in responses), [response.text for response in responses]
    assert (await gateway.get(f"/orders/{order['id']}/history?include=all")).status_code == 200


async def test_hostile_texts_are_accepted_as_tracking_number_and_carrier(gateway: Gateway) -> None:
    for text in TEXTS[:60:6]:
        order = await place_in(gateway, "PROCESSING_IN_WAREHOUSE", customer_name="Ada")
        change = {"new_state": "SHIPPED", "tracking_number": text, "carrier": text}
        response = await gateway.patch(f"/orders/{order['id']}/state", change)
        assert (response.status_code, response.json()["carrier"]) == (200, text)
