"""Payment reports with an amount: the order's total, another one, of late and surplus payments, and invalid ones."""

import asyncio
from typing import Any

import pytest
from httpx import Response
from prometheus_client import REGISTRY
from support.example.orders import place, place_in
from support.gateway.application import Gateway, exact_json
from support.postgres.audit_and_events import AuditAndEvents, audit_and_events, last_event

TOTAL, OTHER = 79.06, 79.05


async def report(
    gateway: Gateway, order: dict[str, Any], reference: str | None, amount: Any = None, **how: Any
) -> Response:
    body = {"new_state": "PAID", "payment_transaction_id": reference, "amount": amount}
    return await gateway.patch(f"/orders/{order['id']}/state", body, **how)


async def payments_of(gateway: Gateway, order: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    now = exact_json(await gateway.get(f"/orders/{order['id']}"))
    return [(each["reference"], each["kind"], str(each["amount"]), each["refund_status"]) for each in now["payments"]]


def mismatched_payments() -> float:
    return REGISTRY.get_sample_value("unexpected_payments_total", {"kind": "mismatched"}) or 0.0


@pytest.mark.parametrize("amount", [None, TOTAL])
async def test_a_payment_of_the_total_pays_the_order(gateway: Gateway, amount: float | None) -> None:
    order = await place(gateway)
    response = await report(gateway, order, "ch_teacups", amount)
    assert (response.status_code, response.json()["status"]) == (200, "PAID")
    assert await payments_of(gateway, order) == [("ch_teacups", "CAPTURED", "79.06", "NONE")]


@pytest.mark.parametrize("amount", [OTHER, 79.07, 7906, 0.01])
async def test_a_payment_of_another_amount_is_refused_but_stored_and_alerted(gateway: Gateway, amount: float) -> None:
    order, before = await place(gateway), mismatched_payments()
    response = await report(gateway, order, "ch_other", amount, key="payments")
    assert response.status_code == 409
    error = response.json()["error"]
    assert error["code"] == "CONFLICT"
    assert (error["details"]["reference"], error["details"]["currency"]) == ("ch_other", "EUR")
    assert await payments_of(gateway, order) == [("ch_other", "MISMATCHED", f"{amount:.2f}", "NONE")]
    assert await audit_and_events(gateway.pool, "ORDER", order["id"]) == AuditAndEvents(
        [(None, "PENDING_PAYMENT", "ACCEPTED"), ("PENDING_PAYMENT", "PAID", "REFUSED")],
        [("order.created", 1), ("order.mismatched_payment", 2)],
    )
    event = await last_event(gateway.pool, order["id"])
    assert event["mismatched_payment"] == {"reference": "ch_other", "amount": f"{amount:.2f}"}
    assert [each["reference"] for each in event["mismatched_payments"]] == ["ch_other"]
    assert (event["status"], event["captured_amount"], event["payments"]) == ("PENDING_PAYMENT", None, [])
    assert mismatched_payments() == before + 1
    now = (await gateway.get(f"/orders/{order['id']}")).json()
    assert (now["status"], now["refund_status"], now["version"]) == ("PENDING_PAYMENT", "NONE", 2)


@pytest.mark.parametrize("amount", [None, OTHER, TOTAL, 5])
async def test_a_mismatched_payment_is_known_by_its_reference_whatever_is_reported_of_it(
    gateway: Gateway, amount: float | None
) -> None:
    order = await place(gateway)
    await report(gateway, order, "ch_other", OTHER)
    before, now = (
        await audit_and_events(gateway.pool, "ORDER", order["id"]),
        await gateway.get(f"/orders/{order['id']}"),
    )
    response = await report(gateway, order, "ch_other", amount)
    assert (response.status_code, response.json()) == (200, now.json())
    assert await audit_and_events(gateway.pool, "ORDER", order["id"]) == before


async def test_an_order_with_a_mismatched_payment_is_paid_by_another_one(gateway: Gateway) -> None:
    order = await place(gateway)
    await report(gateway, order, "ch_other", OTHER)
    assert (await report(gateway, order, "ch_teacups", TOTAL)).status_code == 200
    assert (await report(gateway, order, "ch_other", OTHER)).status_code == 200
    assert await payments_of(gateway, order) == [
        ("ch_other", "MISMATCHED", "79.05", "NONE"),
        ("ch_teacups", "CAPTURED", "79.06", "NONE"),
    ]
    cancelled = (await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "no"})).json()
    assert [each["refund_status"] for each in cancelled["payments"]] == ["NONE", "PENDING"]
    event = await last_event(gateway.pool, order["id"])
    assert [each["reference"] for each in event["payments"]] == ["ch_teacups"]
    assert [each["reference"] for each in event["mismatched_payments"]] == ["ch_other"]


async def test_a_mismatched_payment_alone_gives_a_cancelled_order_no_refund(gateway: Gateway) -> None:
    order = await place(gateway)
    await report(gateway, order, "ch_other", OTHER)
    cancelled = (await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "no"})).json()
    assert cancelled["refund_status"] == "NONE"


@pytest.mark.parametrize(("state", "kind"), [("PAID", "SURPLUS"), ("DELIVERED", "SURPLUS"), ("CANCELLED", "LATE")])
async def test_late_and_surplus_payments_have_the_amount_that_is_reported(
    gateway: Gateway, state: str, kind: str
) -> None:
    order = await place_in(gateway, state)
    assert (await report(gateway, order, "ch_second", OTHER)).status_code == 409
    assert (await payments_of(gateway, order))[-1] == ("ch_second", kind, "79.05", "PENDING")
    event = await last_event(gateway.pool, order["id"])
    assert event[f"{kind.lower()}_payment"] == {"reference": "ch_second", "amount": "79.05"}
    assert event["mismatched_payment"] is None


@pytest.mark.parametrize("state", ["PAID", "CANCELLED"])
async def test_an_id_with_another_amount_is_not_that_of_the_payment_without_an_id(gateway: Gateway, state: str) -> None:
    order = await place(gateway)
    if state == "CANCELLED":
        await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "no"})
    await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID"})
    derived, kind = f"order-{order['id']}", "CAPTURED" if state == "PAID" else "LATE"
    assert (await report(gateway, order, "ch_other", OTHER)).status_code == 409
    status = "NONE" if state == "PAID" else "PENDING"
    other = ("ch_other", "MISMATCHED", "79.05", "NONE")
    assert await payments_of(gateway, order) == [(derived, kind, "79.06", status), other]
    assert (await report(gateway, order, "ch_teacups", TOTAL)).status_code == 200
    assert await payments_of(gateway, order) == [("ch_teacups", kind, "79.06", status), other]


@pytest.mark.parametrize(
    ("amount", "field"),
    [(0, "amount"), (-1, "amount"), (10**12, "amount"), ("79.06", "amount"), (True, "amount"), (79.061, "amount")],
)
async def test_an_impossible_amount_is_refused_and_stored_nowhere(gateway: Gateway, amount: Any, field: str) -> None:
    order = await place(gateway)
    response = await report(gateway, order, "ch_teacups", amount)
    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"] == field
    assert (await gateway.get(f"/orders/{order['id']}")).json() == order


@pytest.mark.parametrize(
    "body",
    [{"new_state": "PAID", "amount": TOTAL}, {"new_state": "SHIPPED", "amount": TOTAL}],
)
async def test_an_amount_needs_the_id_of_its_payment(gateway: Gateway, body: dict[str, Any]) -> None:
    order = await place(gateway)
    assert (await gateway.patch(f"/orders/{order['id']}/state", body)).status_code == 422


async def test_of_twenty_concurrent_reports_of_one_mismatched_payment_one_is_stored(gateway: Gateway) -> None:
    order = await place(gateway)
    responses = await asyncio.gather(*(report(gateway, order, "ch_other", OTHER) for _ in range(20)))
    assert sorted(response.status_code for response in responses) == [*[200] * 19, 409]
    assert len(await payments_of(gateway, order)) == 1
