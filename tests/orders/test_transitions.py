"""Every state with every command over HTTP, with the audit rows and events that result."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from orders.domain.states import ALLOWED_TRANSITIONS, OrderStatus
from support.example.orders import place, place_in
from support.gateway.application import Gateway
from support.postgres.audit_and_events import AuditAndEvents, audit_and_events, last_event

EVENTS = {
    "PAID": "order.paid",
    "PROCESSING_IN_WAREHOUSE": "order.processing",
    "SHIPPED": "order.shipped",
    "DELIVERED": "order.delivered",
    "CANCELLED": "order.cancelled",
}
COMMANDS: dict[str, dict[str, str]] = {
    "PENDING_PAYMENT": {"new_state": "PENDING_PAYMENT"},
    # Without an id this is only a transition; test_payments.py tests reports with an id.
    "PAID": {"new_state": "PAID"},
    "PROCESSING_IN_WAREHOUSE": {"new_state": "PROCESSING_IN_WAREHOUSE", "reason": "stock is there"},
    "SHIPPED": {"new_state": "SHIPPED", "tracking_number": "JJD0099", "carrier": "DHL"},
    "DELIVERED": {"new_state": "DELIVERED"},
    "CANCELLED": {"new_state": "CANCELLED", "reason": "changed her mind"},
}
MATRIX = [(state, target) for state in OrderStatus for target in COMMANDS if (state, target) != ("CANCELLED", "PAID")]


async def audit_and_events_of(gateway: Gateway, order: dict[str, Any]) -> AuditAndEvents:
    return await audit_and_events(gateway.pool, "ORDER", order["id"])


@pytest.mark.parametrize(("state", "target"), MATRIX)
async def test_each_state_permits_its_commands_and_refuses_the_others(
    gateway: Gateway, state: OrderStatus, target: str
) -> None:
    order = await place_in(gateway, state)
    before = await audit_and_events_of(gateway, order)
    response = await gateway.patch(f"/orders/{order['id']}/state", COMMANDS[target])
    changes = (await audit_and_events_of(gateway, order)).since(before)
    now = (await gateway.get(f"/orders/{order['id']}")).json()
    if target in ALLOWED_TRANSITIONS[state]:
        assert response.status_code == 200
        assert response.json() == now
        assert (now["status"], now["version"]) == (target, order["version"] + 1)
        assert changes == AuditAndEvents([(state, target, "ACCEPTED")], [(EVENTS[target], now["version"])])
    else:
        assert response.status_code == 409
        assert response.json()["error"]["code"] == "INVALID_STATE_TRANSITION"
        assert response.json()["error"]["details"] == {
            "current_state": state,
            "requested_state": target,
            "allowed_transitions": list(ALLOWED_TRANSITIONS[state]),
        }
        assert changes == AuditAndEvents([(state, target, "REFUSED")], [])
        assert now == order


@pytest.mark.parametrize("state", OrderStatus)
async def test_the_cancel_route_is_the_same_command(gateway: Gateway, state: OrderStatus) -> None:
    order = await place_in(gateway, state)
    before = await audit_and_events_of(gateway, order)
    response = await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "changed her mind"})
    changes = (await audit_and_events_of(gateway, order)).since(before)
    if state in {"PENDING_PAYMENT", "PAID"}:
        assert response.status_code == 200
        assert response.json()["cancellation_reason"] == "changed her mind"
        assert response.json()["refund_status"] == ("PENDING" if state == "PAID" else "NONE")
        assert changes.transitions == [(state, "CANCELLED", "ACCEPTED")]
        assert [event for event, _ in changes.events] == ["order.cancelled"]
    else:
        assert response.status_code == 409
        assert changes == AuditAndEvents([(state, "CANCELLED", "REFUSED")], [])


async def test_an_event_has_the_full_state_of_the_order(gateway: Gateway) -> None:
    order = await place_in(gateway, "DELIVERED")
    event = await last_event(gateway.pool, order["id"])
    assert event["status"] == "DELIVERED"
    assert event["version"] == order["version"] == 5
    assert (event["net_amount"], event["tax_amount"], event["total_amount"]) == ("68.30", "10.76", "79.06")
    assert event["captured_amount"] == "79.06"
    assert event["payment_reference"] == "ch_teacups"
    assert event["taxes"] == [
        {"rate": "7.00", "net": "18.50", "tax": "1.30"},
        {"rate": "19.00", "net": "49.80", "tax": "9.46"},
    ]
    assert (event["tracking_number"], event["carrier"]) == ("JJD0099", "DHL")
    assert event["delivered_at"] == order["delivered_at"]


async def test_of_twenty_concurrent_changes_of_one_order_exactly_one_succeeds(gateway: Gateway) -> None:
    order = await place_in(gateway, "PAID")
    before = await audit_and_events_of(gateway, order)
    path, change = f"/orders/{order['id']}/state", {"new_state": "PROCESSING_IN_WAREHOUSE"}
    responses = await asyncio.gather(*(gateway.patch(path, change) for _ in range(20)))
    assert Counter(response.status_code for response in responses) == {200: 1, 409: 19}
    changes = (await audit_and_events_of(gateway, order)).since(before)
    assert Counter(outcome for _, _, outcome in changes.transitions) == {"ACCEPTED": 1, "REFUSED": 19}
    assert changes.transitions[0] == ("PAID", "PROCESSING_IN_WAREHOUSE", "ACCEPTED")
    assert changes.events == [("order.processing", 3)]
    rows = (await gateway.get(f"/orders/{order['id']}/history?include=all")).json()["data"]
    assert [row["created_at"] for row in rows] == sorted(row["created_at"] for row in rows)


async def test_the_audit_details_contain_the_requested_change(gateway: Gateway) -> None:
    order = await place(gateway)
    await gateway.patch(f"/orders/{order['id']}/state", {**COMMANDS["SHIPPED"], "reason": "too early"})
    rows = (await gateway.get(f"/orders/{order['id']}/history?include=all")).json()["data"]
    assert rows[-1]["metadata"] == {
        "actor_name": "ops",
        "reason": "too early",
        "tracking_number": "JJD0099",
        "carrier": "DHL",
    }
