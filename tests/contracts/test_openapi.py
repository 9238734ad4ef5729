"""The OpenAPI documents of the four services are suitable for client generators."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from generators.http_tables import gateway
from jsonschema import Draft202012Validator
from local_stack.services import SERVICES

OPERATION_IDS = {
    "orders": {
        *("createOrder", "listOrders", "getOrder", "updateOrder", "updateOrderState", "cancelOrder", "getOrderHistory"),
        *("getOrderHistoryProof", "getOrderInvoice", "addOrderNote", "listOrderNotes", "updateOrderStates"),
        *("exportOrders", "explainOrder"),
    },
    "returns": {
        *(
            "createReturn",
            "listReturns",
            "getReturn",
            "updateReturn",
            "approveReturn",
            "rejectReturn",
            "updateReturnState",
        ),
        *("getReturnHistory", "getReturnHistoryProof", "addReturnNote", "listReturnNotes", "exportReturns"),
    },
    "invoicing": {"listInvoices", "getInvoice", "getInvoiceDocument"},
    "refunds": {"listRefunds", "getRefund", "getBook", "createRefund", "settleRefund", "receiveWebhook"},
}
COMMON_OPERATION_IDS = {"healthCheck", "getMetrics"}
# Which need no key: a signed link, and signed webhooks.
OPEN = {"invoicing": {"getInvoiceDocument"}, "refunds": {"receiveWebhook"}}
TAGS = {"orders": "Orders", "returns": "Returns", "invoicing": "Invoices", "refunds": "Refunds"}


def document(service: str) -> dict[str, Any]:
    openapi: dict[str, Any] = gateway(service).openapi()
    return openapi


def operations(service: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document(service)["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


@pytest.mark.parametrize("service", SERVICES)
def test_operations_have_the_ids_and_tags_of_the_contract(service: str) -> None:
    by_tag: dict[str, set[str]] = {}
    for _, operation in operations(service):
        [tag] = operation["tags"]
        by_tag.setdefault(tag, set()).add(operation["operationId"])
    by_tag.pop("Operations")
    assert by_tag == {TAGS[service]: OPERATION_IDS[service], "Health": COMMON_OPERATION_IDS}


@pytest.mark.parametrize("service", SERVICES)
def test_schema_titles_are_unique_and_requests_and_responses_share_schemas(service: str) -> None:
    schemas = document(service)["components"]["schemas"]
    titles = Counter(schema["title"] for schema in schemas.values() if "title" in schema)
    assert [title for title, count in titles.items() if count > 1] == []
    assert [name for name in schemas if "-" in name or "__" in name] == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_response_has_a_schema_and_its_headers(service: str) -> None:
    headers = document(service)["components"]["headers"]
    for name, operation in operations(service):
        for status, response in operation["responses"].items():
            assert {"X-Request-Id", "traceparent"} <= response["headers"].keys(), (name, status)
            for header in response["headers"].values():
                assert header.get("$ref", "#/components/headers/traceparent").rpartition("/")[2] in headers
            if status != "304":
                assert all(content["schema"] for content in response["content"].values()), (name, status)
                assert response["content"], (name, status)


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_except_open_ones_requires_the_api_key(service: str) -> None:
    assert document(service)["components"]["securitySchemes"]["ApiKeyAuth"]["name"] == "X-API-Key"
    open_operations = {operation["operationId"] for _, operation in operations(service) if "security" not in operation}
    assert open_operations == {"healthCheck", *OPEN.get(service, ())}


@pytest.mark.parametrize(
    ("change", "is_allowed"),
    [
        ({"new_state": "PAID", "payment_transaction_id": "pi_1", "reason": "paid"}, True),
        ({"new_state": "PAID", "tracking_number": "1Z999"}, False),
        ({"new_state": "PAID", "payment_transaction_id": "pi_1", "amount": 12.5}, True),
        ({"new_state": "PAID", "payment_transaction_id": "pi_1", "amount": 0}, False),
        ({"new_state": "PAID", "amount": 12.5}, False),
        ({"new_state": "SHIPPED", "amount": 12.5}, False),
        ({"new_state": "SHIPPED", "tracking_number": "1Z999", "carrier": "UPS"}, True),
        ({"new_state": "SHIPPED", "payment_transaction_id": "pi_1"}, False),
        ({"new_state": "DELIVERED", "carrier": "UPS"}, False),
        ({"new_state": "CANCELLED", "reason": "no longer needed"}, True),
        ({"new_state": "CANCELLED"}, False),
        ({"new_state": "CANCELLED", "reason": None}, False),
        ({"new_state": "LOST"}, False),
    ],
)
def test_the_document_states_the_fields_of_each_new_state(change: dict[str, Any], is_allowed: bool) -> None:
    schema = document("orders")["components"]["schemas"]["OrderStateChange"]
    assert Draft202012Validator(schema).is_valid(change) == is_allowed
