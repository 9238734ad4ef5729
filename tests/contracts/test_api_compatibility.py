"""The gate against breaking changes of the HTTP API: each kind is found, and each permitted kind passes."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from generators.api_compatibility import breaking_changes
from generators.api_documents import RELEASED, read

Document = dict[str, Any]
Change = Callable[[Document], object]

ORDERS, STATE, HEALTH = "/api/v1/orders", "/api/v1/orders/{order_id}/state", "/api/v1/health"
RELEASED_DOCUMENT = read("openapi.yaml", RELEASED)
# Three of its paths are enough, and quick.
BEFORE = RELEASED_DOCUMENT | {"paths": {path: RELEASED_DOCUMENT["paths"][path] for path in (ORDERS, STATE, HEALTH)}}


def place(document: Document) -> Document:
    operation: Document = document["paths"][ORDERS]["post"]
    return operation


def listing(document: Document) -> Document:
    operation: Document = document["paths"][ORDERS]["get"]
    return operation


def schema(document: Document, name: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    return found


def field(document: Document, name: str, member: str) -> Document:
    found: Document = schema(document, name)["properties"][member]
    return found


def changes(change: Change) -> list[str]:
    after = deepcopy(BEFORE)
    change(after)
    return breaking_changes(BEFORE, after)


BREAKING: dict[str, tuple[Change, str]] = {
    "a removed path": (lambda new: new["paths"].pop(STATE), "PATCH /api/v1/orders/{order_id}/state is gone"),
    "a removed method": (lambda new: new["paths"][ORDERS].pop("post"), "POST /api/v1/orders is gone"),
    "another operation id": (
        lambda new: place(new).update(operationId="placeOrder"),
        "the operation id createOrder is now placeOrder",
    ),
    "a removed success status": (
        lambda new: place(new)["responses"].update({"200": place(new)["responses"].pop("201")}),
        "the status 201 is gone",
    ),
    "a removed error status": (lambda new: place(new)["responses"].pop("409"), "the status 409 is gone"),
    "a removed header": (
        lambda new: place(new)["responses"]["201"]["headers"].pop("Location"),
        "the header Location of 201 is gone",
    ),
    "another content type": (
        lambda new: place(new)["responses"]["201"].update(content={"text/csv": {"schema": {}}}),
        "201 is no longer answered as application/json",
    ),
    "a removed field of an answer": (
        lambda new: schema(new, "OrderResponse")["properties"].pop("carrier"),
        "201.carrier is gone",
    ),
    "a field of an answer that may be missing": (
        lambda new: schema(new, "OrderResponse")["required"].remove("total_amount"),
        "201.total_amount may be missing",
    ),
    "another type in an answer": (
        lambda new: field(new, "OrderResponse", "version").update(type="string"),
        "201.version: string in place of integer",
    ),
    "a wider type in an answer": (
        lambda new: field(new, "OrderResponse", "version").update(type="number"),
        "201.version: number in place of integer",
    ),
    "null in an answer that had no null": (
        lambda new: schema(new, "OrderResponse")["properties"].update(
            order_number={"anyOf": [{"type": "string"}, {"type": "null"}]}
        ),
        "201.order_number: null in place of string",
    ),
    "another format in an answer": (
        lambda new: field(new, "OrderResponse", "id").pop("format"),
        "201.id: the format None in place of uuid",
    ),
    "a new value of an enumeration in an answer": (
        lambda new: schema(new, "OrderStatus")["enum"].append("LOST"),
        "201.status: the value LOST is new",
    ),
    "a removed value of an enumeration in an answer": (
        lambda new: schema(new, "OrderStatus")["enum"].remove("SHIPPED"),
        "201.status: the value SHIPPED is gone",
    ),
    "an error code that is gone": (
        lambda new: new["components"]["responses"]["ConflictOrInvalidStateTransition"]["content"]["application/json"][
            "schema"
        ]["oneOf"].pop(1),
        "409: InvalidStateTransitionError is gone",
    ),
    "a removed field of a request": (
        lambda new: schema(new, "OrderCreate")["properties"].pop("buyer_vat_id"),
        "body.buyer_vat_id is gone",
    ),
    "a new required field of a request": (
        lambda new: (
            schema(new, "OrderCreate")["properties"].update(channel={"type": "string"}),
            schema(new, "OrderCreate")["required"].append("channel"),
        ),
        "body.channel is now required",
    ),
    "an optional field of a request that becomes required": (
        lambda new: schema(new, "OrderCreate")["required"].append("currency"),
        "body.currency is now required",
    ),
    "a narrower type in a request": (
        lambda new: field(new, "LineItem", "unit_price").update(type="integer"),
        "body.line_items[].unit_price: number in place of integer",
    ),
    "null that a request may no longer have": (
        lambda new: schema(new, "OrderCreate")["properties"].update(customer_name={"type": "string"}),
        "body.customer_name: null in place of string",
    ),
    "a lower limit of a request": (
        lambda new: field(new, "OrderCreate", "line_items").update(maxItems=100),
        "body.line_items: the maxItems 200 in place of 100",
    ),
    "a shorter text of a request": (
        lambda new: field(new, "OrderCreate", "payment_method").update(maxLength=20),
        "body.payment_method: the maxLength 255 in place of 20",
    ),
    "a pattern for a text of a request": (
        lambda new: field(new, "OrderCreate", "payment_method").update(pattern="^[a-z]+$"),
        "body.payment_method: the pattern",
    ),
    "a value that a request may no longer have": (
        lambda new: field(new, "OrderCreate", "currency")["enum"].remove("EUR"),
        "body.currency: the value EUR is not accepted",
    ),
    "a state that may no longer be set": (
        lambda new: schema(new, "OrderStateChange")["oneOf"].pop(),
        "body: ChangeToCancelled is no longer accepted",
    ),
    "a removed parameter": (
        lambda new: listing(new)["parameters"].pop(0),
        "the parameter limit is gone",
    ),
    "a parameter that becomes required": (
        lambda new: listing(new)["parameters"][0].update(required=True),
        "the parameter limit is now required",
    ),
    "a new required parameter": (
        lambda new: listing(new)["parameters"].append(
            {"name": "shop", "in": "query", "required": True, "schema": {"type": "string"}}
        ),
        "the new parameter shop is required",
    ),
    "a narrower parameter": (
        lambda new: listing(new)["parameters"][0]["schema"].update(maximum=50),
        "limit: the maximum 100 in place of 50",
    ),
    "a body that becomes required": (
        lambda new: listing(new).update(requestBody={"required": True, "content": {}}),
        "a body is now required",
    ),
    "a key where none was needed": (
        lambda new: new["paths"][HEALTH]["get"].update(security=[{"ApiKeyAuth": []}]),
        "a way to authenticate is gone",
    ),
}
PERMITTED: dict[str, Change] = {
    "nothing": lambda _: None,
    "a new path": lambda new: new["paths"].update({"/api/v1/shops": {"get": listing(new)}}),
    "a new field of an answer": lambda new: (
        schema(new, "OrderResponse")["properties"].update(external_id={"type": ["string", "null"]}),
        schema(new, "OrderResponse")["required"].append("external_id"),
    ),
    "a new optional field of a request": lambda new: schema(new, "OrderCreate")["properties"].update(
        external_id={"type": "string"}
    ),
    "a new optional parameter": lambda new: listing(new)["parameters"].append(
        {"name": "q", "in": "query", "required": False, "schema": {"type": "string"}}
    ),
    "a new status": lambda new: place(new)["responses"].update({"412": place(new)["responses"]["409"]}),
    "a higher limit of a request": lambda new: field(new, "OrderCreate", "line_items").update(maxItems=500),
    "a wider type in a request": lambda new: field(new, "LineItem", "quantity").update(type="number"),
    "a further way to authenticate": lambda new: place(new)["security"].append({"BearerAuth": []}),
    "a narrower answer": lambda new: field(new, "OrderResponse", "version").update(minimum=1),
    "other prose": lambda new: place(new).update(summary="Place an order", description="It waits for its payment."),
}


@pytest.mark.parametrize("kind", BREAKING)
def test_a_change_that_breaks_a_client_is_found(kind: str) -> None:
    change, message = BREAKING[kind]
    found = changes(change)
    assert [each for each in found if message in each], found


@pytest.mark.parametrize("kind", PERMITTED)
def test_a_change_that_breaks_no_client_is_permitted(kind: str) -> None:
    assert changes(PERMITTED[kind]) == []
