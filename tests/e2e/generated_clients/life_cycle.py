"""One order's life, from placement to refund, with the generated Python client.

    python life_cycle.py ORDER.json < stack.json

The package `articurated_client` is generated from docs/api/openapi.yaml by test_generated_clients.py, which also checks
this file with mypy, to show that the client has the documented types.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from articurated_client import AuthenticatedClient
from articurated_client.api.health import get_metrics, health_check
from articurated_client.api.orders import (
    create_order,
    get_order_history,
    get_order_invoice,
    list_orders,
    update_order_state,
)
from articurated_client.api.returns import approve_return, create_return, get_return, update_return_state
from articurated_client.models import (
    ApproveRequest,
    ChangeToDelivered,
    ChangeToPaid,
    ChangeToProcessingInWarehouse,
    ChangeToShipped,
    HealthResponse,
    HistoryResponse,
    InvalidStateTransitionError,
    InvoiceResponse,
    MetricsResponse,
    OrderCreate,
    OrderListResponse,
    OrderResponse,
    OrderStatus,
    RefundStatus,
    ReturnCreate,
    ReturnNotAllowedError,
    ReturnResponse,
    ReturnStateChange,
    ReturnStateChangeNewState,
)
from articurated_client.types import Unset

WAIT_SECONDS = 30

Value = TypeVar("Value")


def eventually(find: Callable[[], Value | None]) -> Value:
    deadline = time.monotonic() + WAIT_SECONDS
    while (value := find()) is None:
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s"
        time.sleep(0.05)
    return value


def client_of(stack: dict[str, Any], service: str, role: str) -> AuthenticatedClient:
    """A client of the one origin, or of the service where the stack has none."""
    return AuthenticatedClient(
        base_url=(stack.get("gateway") or stack["services"][service])["url"],
        token=stack["api_keys"][role],
        prefix="",
        auth_header_name="X-API-Key",
        raise_on_unexpected_status=True,
    )


def order_life(stack: dict[str, Any], body: dict[str, Any]) -> OrderResponse:
    def as_role(role: str) -> AuthenticatedClient:
        return client_of(stack, "orders", role)

    customer, warehouse = as_role("client"), as_role("warehouse")
    key = str(uuid4())
    order = create_order.sync(client=customer, body=OrderCreate.from_dict(body), idempotency_key=key)
    assert isinstance(order, OrderResponse) and order.status is OrderStatus.PENDING_PAYMENT
    again = create_order.sync(client=customer, body=OrderCreate.from_dict(body), idempotency_key=key)
    assert isinstance(again, OrderResponse) and again.id == order.id

    rejection = update_order_state.sync(order.id, client=warehouse, body=ChangeToDelivered(new_state="DELIVERED"))
    assert isinstance(rejection, InvalidStateTransitionError)
    assert rejection.error.details.allowed_transitions == ["PAID", "CANCELLED"]

    payment = ChangeToPaid(new_state="PAID", payment_transaction_id=f"pi_{order.order_number}")
    shipment = ChangeToShipped(new_state="SHIPPED", carrier="UPS", tracking_number="1Z999AA10123456784")
    update_order_state.sync(order.id, client=as_role("payments"), body=payment)
    for change in (
        ChangeToProcessingInWarehouse(new_state="PROCESSING_IN_WAREHOUSE"),
        shipment,
        ChangeToDelivered(new_state="DELIVERED"),
    ):
        changed = update_order_state.sync(order.id, client=warehouse, body=change)
    assert isinstance(changed, OrderResponse) and changed.status is OrderStatus.DELIVERED
    assert changed.shipping_address.to_dict() == body["shipping_address"]

    def issued_invoice() -> InvoiceResponse | None:
        invoice = get_order_invoice.sync(order.id, client=customer)
        return invoice if isinstance(invoice, InvoiceResponse) else None

    assert eventually(issued_invoice).total_amount == changed.total_amount
    page = list_orders.sync(client=customer, customer_id=order.customer_id, status=OrderStatus.DELIVERED, limit=1)
    assert isinstance(page, OrderListResponse) and page.data[0].id == order.id
    history = get_order_history.sync(order.id, client=customer)
    assert isinstance(history, HistoryResponse) and len(history.data) == 4
    assert isinstance(health_check.sync(client=customer), HealthResponse)
    metrics = get_metrics.sync(client=customer)
    assert isinstance(metrics, MetricsResponse) and not isinstance(metrics.orders, Unset)
    assert metrics.orders.by_status["DELIVERED"] >= 1
    return changed


def return_life(stack: dict[str, Any], order: OrderResponse) -> ReturnResponse:
    def as_role(role: str) -> AuthenticatedClient:
        return client_of(stack, "returns", role)

    new_return = create_return.sync(client=as_role("client"), body=ReturnCreate(order_id=order.id, reason="cracked"))
    assert isinstance(new_return, ReturnResponse) and new_return.refund_amount == order.total_amount
    again = create_return.sync(client=as_role("client"), body=ReturnCreate(order_id=order.id, reason="cracked"))
    assert isinstance(again, ReturnNotAllowedError) and again.error.details.reason == "already_returned"
    approve_return.sync(
        new_return.id, client=as_role("manager"), body=ApproveRequest(manager_notes="seen on the photo")
    )
    steps = (
        ("client", ReturnStateChangeNewState.IN_TRANSIT),
        ("warehouse", ReturnStateChangeNewState.RECEIVED),
        ("warehouse", ReturnStateChangeNewState.COMPLETED),
    )
    for role, new_state in steps:
        update_return_state.sync(new_return.id, client=as_role(role), body=ReturnStateChange(new_state=new_state))

    def refunded_return() -> ReturnResponse | None:
        response = get_return.sync(new_return.id, client=as_role("client"))
        return (
            response
            if isinstance(response, ReturnResponse) and response.refund_status is RefundStatus.SUCCEEDED
            else None
        )

    return eventually(refunded_return)


def main() -> None:
    stack = json.load(sys.stdin)
    order = order_life(stack, json.loads(Path(sys.argv[1]).read_text()))
    completed_return = return_life(stack, order)
    print(f"{order.order_number} returned, refund {completed_return.refund_transaction_id}")


if __name__ == "__main__":
    main()
