"""One trace from a request to its last result in another service, received from a complete stack by OTLP."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from demo import journeys
from demo.client import Shop
from demo.kafka_reader import read_events
from local_stack.stack_json import StackDescription
from support.processes.stack import new_stack
from support.telemetry.otlp_receiver import Receiver, otlp_receiver
from support.telemetry.span_tree import Span, path_to, printed, without_parent
from support.waiting import eventually, eventually_true

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SHIP = "orders: PATCH /api/v1/orders/{order_id}/state"
COMPLETE = "returns: PATCH /api/v1/returns/{return_id}/state"
# More spans than the queue of a process has places for.
ORDERS = 60


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with otlp_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def traced_stack(receiver: Receiver) -> Iterator[StackDescription]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.address,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        # So that it is full soon once nobody answers.
        "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50",
    }
    with new_stack(settings) as running:
        yield running.description


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def traced_shop(traced_stack: StackDescription) -> AsyncIterator[Shop]:
    shop = Shop(traced_stack)
    yield shop
    await shop.close()


async def change(shop: Shop, role: str, path: str, state: str, **more: str) -> httpx.Response:
    service = path.split("/")[1]
    response = await shop.as_role(role, "PATCH", f"{path}/state", {"new_state": state, **more}, service=service)
    assert response.status_code == 200
    return response


async def test_one_trace_leads_from_a_request_to_its_results(traced_shop: Shop, receiver: Receiver) -> None:
    order = await journeys.place(traced_shop, journeys.example("returned-order"))
    path = f"/orders/{order['id']}"
    await journeys.pay(traced_shop, order["id"], f"pi_{order['order_number']}")
    await journeys.pack(traced_shop, order["id"])
    shipped = await change(traced_shop, "warehouse", path, "SHIPPED", tracking_number="1Z999AA10123456784")
    await journeys.invoice(traced_shop, order["id"])
    await journeys.mails_about(traced_shop, order["order_number"])
    await journeys.deliver(traced_shop, order["id"])
    opened = await journeys.open_return(traced_shop, order["id"], "the glaze has a crack")
    await journeys.approve(traced_shop, opened["id"], "as the photo shows")
    its_path = f"/returns/{opened['id']}"
    await change(traced_shop, "client", its_path, "IN_TRANSIT")
    await change(traced_shop, "warehouse", its_path, "RECEIVED")
    completed = await change(traced_shop, "warehouse", its_path, "COMPLETED")
    await journeys.refunded(traced_shop, its_path, service="returns")

    invoicing = await whole_trace(receiver, shipped, "orders: process articurated.invoices", "invoicing: SMTP")
    assert path_to(invoicing, "orders: process articurated.invoices") == [
        SHIP,
        "invoicing: process articurated.orders",
        "invoicing: job invoice-document",
        "orders: process articurated.invoices",
    ]
    titles = {span.title for span in invoicing}
    assert {"orders: send articurated.orders", "invoicing: document_store.put", "invoicing: SMTP"} <= titles

    refunding = await whole_trace(receiver, completed, "returns: process articurated.refunds", "refunds: SMTP")
    assert path_to(refunding, "returns: process articurated.refunds") == [
        COMPLETE,
        "refunds: process articurated.returns",
        "refunds: job refund",
        "returns: process articurated.refunds",
    ]
    assert path_to(refunding, "refunds: POST /v1/refunds")[-2:] == ["refunds: job refund", "refunds: POST /v1/refunds"]
    assert_nothing_personal(receiver.spans, order)


async def test_a_collector_that_does_not_answer_costs_no_request_and_loses_no_event(
    traced_stack: StackDescription, traced_shop: Shop, receiver: Receiver
) -> None:
    with receiver.silent():
        placed = [await journeys.place(traced_shop, journeys.example("kept-order")) for _ in range(ORDERS)]
        response = await traced_shop.ask(f"{traced_stack['services']['orders']['url']}/readyz")
        assert response.status_code == 200
        for order in placed[:2]:
            await journeys.pay(traced_shop, order["id"], f"pi_{order['order_number']}")
            await journeys.pack(traced_shop, order["id"])
            await journeys.ship(traced_shop, order["id"])
            await journeys.invoice(traced_shop, order["id"])
        expected = {(order["id"], "order.created") for order in placed}

        async def all_are_published() -> bool:
            events = await read_events(traced_stack["kafka"]["bootstrap"])
            return expected <= {(event.key, event.type) for event in events}

        await eventually(all_are_published, pause=0.5)


async def whole_trace(receiver: Receiver, response: httpx.Response, *last: str) -> list[Span]:
    """The trace of a response, as soon as it has these spans, and no span whose parent is missing."""
    trace_id = response.headers["X-Request-Id"]

    def received() -> bool:
        spans = receiver.trace(trace_id)
        return set(last) <= {span.title for span in spans} and not without_parent(spans)

    try:
        await eventually_true(received, within=20)
    finally:
        spans = receiver.trace(trace_id)
        print(f"\ntrace {trace_id}\n{printed(spans)}\nwithout a parent: {without_parent(spans)}")  # noqa: T201 - the figure
    assert len([span for span in spans if span.parent_id is None]) == 1
    return spans


def assert_nothing_personal(spans: list[Span], order: dict[str, Any]) -> None:
    address = order["shipping_address"]
    forbidden = (order["customer_email"], order["customer_name"], address["street"], address["city"], "sk_", "ak_")
    for span in spans:
        values = [span.name, span.error or "", *map(str, span.attributes.values())]
        assert all(len(value) <= 256 for value in values)
        assert not [value for value in values if any(each in value for each in forbidden)]
