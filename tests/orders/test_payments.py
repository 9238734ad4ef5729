"""Payment reports of an order: first, repeated, of another payment, without an id, and concurrent."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from httpx import Response
from prometheus_client import REGISTRY
from support.example.orders import PATHS, place, place_in
from support.gateway.application import Gateway
from support.postgres.audit_and_events import AuditAndEvents, audit_and_events, last_event

# The states of an order that was paid by `ch_teacups`.
PAID_STATES = ("PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED", "DELIVERED")
# Also the two cancelled states; an order in `CANCELLED` was never paid.
ALL_BUT_PENDING = (*PAID_STATES, "CANCELLED_AFTER_PAYMENT", "CANCELLED")


async def audit_and_events_of(gateway: Gateway, order: dict[str, Any]) -> AuditAndEvents:
    return await audit_and_events(gateway.pool, "ORDER", order["id"])


async def report(gateway: Gateway, order: dict[str, Any], transaction_id: str | None = None, **how: Any) -> Response:
    id_field = {} if transaction_id is None else {"payment_transaction_id": transaction_id}
    return await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID", **id_field}, **how)


async def get_order(gateway: Gateway, order: dict[str, Any]) -> dict[str, Any]:
    now: dict[str, Any] = (await gateway.get(f"/orders/{order['id']}")).json()
    return now


def payment_states(order: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["reference"], each["kind"], each["refund_status"]) for each in order["payments"]]


async def place_paid_without_id(gateway: Gateway, state: str) -> dict[str, Any]:
    order = await place(gateway)
    for change in PATHS[state]:
        body = {name: value for name, value in change.items() if name != "payment_transaction_id"}
        response = await gateway.patch(f"/orders/{order['id']}/state", body)
        assert response.status_code == 200, response.text
        order = response.json()
    return order


async def test_the_reference_of_a_payment_without_an_id_is_no_id_of_a_payment(gateway: Gateway) -> None:
    """The system would take the next reported id for that of this payment, and never refund a second payment."""
    order = await place(gateway)
    response = await report(gateway, order, f"order-{order['id']}")
    assert (response.status_code, response.json()["error"]["details"]["field"]) == (422, "payment_transaction_id")
    assert (await get_order(gateway, order))["payments"] == []
    assert (await report(gateway, order, "ch_teacups")).status_code == 200
    assert (await report(gateway, order, "ch_2")).status_code == 409
    assert payment_states(await get_order(gateway, order)) == [
        ("ch_teacups", "CAPTURED", "NONE"),
        ("ch_2", "SURPLUS", "PENDING"),
    ]


def unexpected_payments(kind: str) -> float:
    return REGISTRY.get_sample_value("unexpected_payments_total", {"kind": kind}) or 0.0


@pytest.mark.parametrize("state", PAID_STATES)
async def test_a_second_payment_of_a_paid_order_is_refused_but_stored_for_a_refund(
    gateway: Gateway, state: str
) -> None:
    order = await place_in(gateway, state)
    before, surplus_before = await audit_and_events_of(gateway, order), unexpected_payments("surplus")
    response = await report(gateway, order, "ch_second", key="payments")
    assert response.status_code == 409
    assert response.json()["error"]["code"] == "INVALID_STATE_TRANSITION"
    assert response.json()["error"]["details"]["current_state"] == state
    changes = (await audit_and_events_of(gateway, order)).since(before)
    assert changes == AuditAndEvents(
        [(state, "PAID", "REFUSED")], [("order.surplus_payment", before.events[-1][1] + 1)]
    )
    event = await last_event(gateway.pool, order["id"])
    assert event["surplus_payment"] == {"reference": "ch_second", "amount": "79.06"}
    assert (event["late_payment"], event["status"], event["payment_reference"]) == (None, state, "ch_teacups")
    assert [payment["reference"] for payment in event["payments"]] == ["ch_teacups", "ch_second"]
    now = await get_order(gateway, order)
    assert payment_states(now) == [("ch_teacups", "CAPTURED", "NONE"), ("ch_second", "SURPLUS", "PENDING")]
    assert now["payments"][1]["amount"] == 79.06
    assert now["payments"][1]["reported_at"] == now["updated_at"]
    assert (now["status"], now["version"], now["refund_status"]) == (state, order["version"] + 1, "NONE")
    assert now["payment_transaction_id"] == "ch_teacups"
    assert unexpected_payments("surplus") == surplus_before + 1


@pytest.mark.parametrize("transaction_id", ["ch_late", None])
async def test_a_payment_for_a_cancelled_order_is_refused_but_stored_for_a_refund(
    gateway: Gateway, transaction_id: str | None
) -> None:
    order = await place_in(gateway, "CANCELLED")
    before, late_before = await audit_and_events_of(gateway, order), unexpected_payments("late")
    assert (await report(gateway, order, transaction_id)).status_code == 409
    changes = (await audit_and_events_of(gateway, order)).since(before)
    assert changes == AuditAndEvents([("CANCELLED", "PAID", "REFUSED")], [("order.late_payment", 3)])
    reference = transaction_id or f"order-{order['id']}"
    event = await last_event(gateway.pool, order["id"])
    assert event["late_payment"] == {"reference": reference, "amount": "79.06"}
    assert (event["status"], event["captured_amount"], event["surplus_payment"]) == ("CANCELLED", None, None)
    now = await get_order(gateway, order)
    assert (now["status"], now["refund_status"], now["version"]) == ("CANCELLED", "PENDING", order["version"] + 1)
    assert payment_states(now) == [(reference, "LATE", "PENDING")]
    assert unexpected_payments("late") == late_before + 1


@pytest.mark.parametrize("state", ALL_BUT_PENDING)
async def test_a_repeated_report_of_a_payment_succeeds_and_stores_nothing(gateway: Gateway, state: str) -> None:
    order = await place_in(gateway, state)
    assert (await report(gateway, order, "ch_again")).status_code == 409
    before, now = await audit_and_events_of(gateway, order), await get_order(gateway, order)
    for reference in [payment["reference"] for payment in now["payments"]] * 2:
        response = await report(gateway, order, reference, key="payments")
        assert (response.status_code, response.json()) == (200, now)
    assert await audit_and_events_of(gateway, order) == before
    assert await get_order(gateway, order) == now


@pytest.mark.parametrize("state", [*PAID_STATES, "CANCELLED_AFTER_PAYMENT"])
@pytest.mark.parametrize("with_id", [True, False])
async def test_a_report_without_an_id_adds_no_payment_to_a_paid_order(
    gateway: Gateway, state: str, with_id: bool
) -> None:
    order = await (place_in if with_id else place_paid_without_id)(gateway, state)
    before = await audit_and_events_of(gateway, order)
    assert (await report(gateway, order)).status_code == 409
    assert (await audit_and_events_of(gateway, order)).since(before) == AuditAndEvents(
        [(order["status"], "PAID", "REFUSED")], []
    )
    assert await get_order(gateway, order) == order


@pytest.mark.parametrize("state", PAID_STATES[:-1])
async def test_a_later_id_identifies_the_payment_that_was_reported_without_one(gateway: Gateway, state: str) -> None:
    order = await place_paid_without_id(gateway, state)
    derived = f"order-{order['id']}"
    assert payment_states(order) == [(derived, "CAPTURED", "NONE")]
    before = await audit_and_events_of(gateway, order)
    response = await report(gateway, order, "ch_teacups")
    assert response.status_code == 200
    identified = response.json()
    assert payment_states(identified) == [("ch_teacups", "CAPTURED", "NONE")]
    assert identified["payments"][0]["reported_at"] == order["payments"][0]["reported_at"]
    assert (identified["payment_transaction_id"], identified["version"]) == ("ch_teacups", order["version"] + 1)
    assert identified == await get_order(gateway, order)
    for reference in ("ch_teacups", derived):
        assert (await report(gateway, order, reference)).json() == identified
    assert await audit_and_events_of(gateway, order) == before
    assert (await report(gateway, order, "ch_second")).status_code == 409
    assert payment_states(await get_order(gateway, order))[1:] == [("ch_second", "SURPLUS", "PENDING")]


async def test_later_events_contain_the_id_of_an_identified_payment(gateway: Gateway) -> None:
    order = await place_paid_without_id(gateway, "PAID")
    await report(gateway, order, "ch_teacups")
    cancelled = (await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "changed her mind"})).json()
    assert payment_states(cancelled) == [("ch_teacups", "CAPTURED", "PENDING")]
    event = await last_event(gateway.pool, order["id"])
    assert (event["payment_reference"], event["payment_transaction_id"]) == ("ch_teacups", "ch_teacups")


@pytest.mark.parametrize("state", ["DELIVERED", "CANCELLED_AFTER_PAYMENT"])
async def test_an_id_that_no_later_transition_publishes_has_its_own_event(gateway: Gateway, state: str) -> None:
    order = await place_paid_without_id(gateway, state)
    before = await audit_and_events_of(gateway, order)
    assert (await report(gateway, order, "ch_teacups")).status_code == 200
    changes = (await audit_and_events_of(gateway, order)).since(before)
    assert changes == AuditAndEvents([], [("order.payment_identified", before.events[-1][1] + 1)])
    event = await last_event(gateway.pool, order["id"])
    assert event["payment_reference"] == "ch_teacups"
    assert event["identified_payment"] == {
        "reference": "ch_teacups",
        "first_reference": f"order-{order['id']}",
        "amount": "79.06",
    }


async def test_a_late_payment_is_identified_by_a_later_id_too(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED")
    assert [(await report(gateway, order, transaction_id)).status_code for transaction_id in (None, "ch_late")] == [
        409,
        200,
    ]
    now = await get_order(gateway, order)
    assert payment_states(now) == [("ch_late", "LATE", "PENDING")]
    assert now["payment_transaction_id"] is None
    event_types = [event_type for event_type, _ in (await audit_and_events_of(gateway, order)).events[2:]]
    assert event_types == ["order.late_payment", "order.payment_identified"]
    assert [
        (await report(gateway, order, transaction_id)).status_code for transaction_id in ("ch_late", None, "ch_2")
    ] == [200, 409, 409]


async def test_a_surplus_payment_stays_surplus_when_its_order_is_cancelled(gateway: Gateway) -> None:
    order = await place_in(gateway, "PAID")
    await report(gateway, order, "ch_second")
    cancelled = (await gateway.post(f"/orders/{order['id']}/cancel", {"reason": "paid twice"})).json()
    expected = [("ch_teacups", "CAPTURED", "PENDING"), ("ch_second", "SURPLUS", "PENDING")]
    assert payment_states(cancelled) == expected
    assert (await report(gateway, order, "ch_second")).status_code == 200
    assert (await report(gateway, order, "ch_third")).status_code == 409
    now = await get_order(gateway, order)
    assert payment_states(now) == [*expected, ("ch_third", "LATE", "PENDING")]
    assert [event for event, _ in (await audit_and_events_of(gateway, order)).events[2:]] == [
        "order.surplus_payment",
        "order.cancelled",
        "order.late_payment",
    ]


@pytest.mark.parametrize("repetition", range(8))
async def test_of_two_payments_reported_concurrently_one_is_captured_and_the_other_is_surplus(
    gateway: Gateway, repetition: int
) -> None:
    order = await place(gateway)
    responses = await asyncio.gather(*(report(gateway, order, f"ch_{number}") for number in range(2)))
    assert sorted(response.status_code for response in responses) == [200, 409]
    now = await get_order(gateway, order)
    assert {reference for reference, _, _ in payment_states(now)} == {"ch_0", "ch_1"}
    assert [kind for _, kind, _ in payment_states(now)] == ["CAPTURED", "SURPLUS"]
    event = await last_event(gateway.pool, order["id"])
    assert event["surplus_payment"]["reference"] == now["payments"][1]["reference"]
    assert len(event["payments"]) == 2


async def test_of_many_payments_reported_concurrently_none_is_lost_and_each_event_has_all_earlier_ones(
    gateway: Gateway,
) -> None:
    order = await place_in(gateway, "PAID")
    responses = await asyncio.gather(*(report(gateway, order, f"ch_{number % 10}") for number in range(20)))
    assert Counter(response.status_code for response in responses) == {200: 10, 409: 10}
    now = await get_order(gateway, order)
    assert {reference for reference, _, _ in payment_states(now)} == {"ch_teacups", *(f"ch_{n}" for n in range(10))}
    payloads = await gateway.pool.fetch(
        "SELECT payload FROM outbox WHERE aggregateid = $1 ORDER BY position", order["id"]
    )
    assert [len(json.loads(payload)["payments"]) for (payload,) in payloads] == list(range(12))
    assert (await audit_and_events_of(gateway, order)).events[2:] == [
        ("order.surplus_payment", n) for n in range(3, 13)
    ]


async def test_the_event_of_a_concurrent_cancellation_has_the_surplus_payment(gateway: Gateway) -> None:
    order = await place_in(gateway, "PAID")
    cancellation = gateway.post(f"/orders/{order['id']}/cancel", {"reason": "paid twice"})
    report_response, cancel_response = await asyncio.gather(report(gateway, order, "ch_second"), cancellation)
    assert (report_response.status_code, cancel_response.status_code) == (409, 200)
    event = await last_event(gateway.pool, order["id"])
    assert {payment["reference"] for payment in event["payments"]} == {"ch_teacups", "ch_second"}


async def test_of_twenty_concurrent_reports_without_an_id_one_succeeds(gateway: Gateway) -> None:
    order = await place(gateway)
    responses = await asyncio.gather(*(report(gateway, order) for _ in range(20)))
    assert Counter(response.status_code for response in responses) == {200: 1, 409: 19}
    assert (await audit_and_events_of(gateway, order)).events == [("order.created", 1), ("order.paid", 2)]


async def test_twenty_concurrent_reports_of_one_payment_all_succeed(gateway: Gateway) -> None:
    order = await place(gateway)
    responses = await asyncio.gather(*(report(gateway, order, "ch_teacups") for _ in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert {response.text for response in responses} == {responses[0].text}
    assert await audit_and_events_of(gateway, order) == AuditAndEvents(
        [(None, "PENDING_PAYMENT", "ACCEPTED"), ("PENDING_PAYMENT", "PAID", "ACCEPTED")],
        [("order.created", 1), ("order.paid", 2)],
    )


async def test_a_late_payment_that_twenty_clients_report_is_stored_once(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED")
    responses = await asyncio.gather(*(report(gateway, order, "ch_late") for _ in range(20)))
    assert Counter(response.status_code for response in responses) == {409: 1, 200: 19}
    assert [event for event, _ in (await audit_and_events_of(gateway, order)).events].count("order.late_payment") == 1


async def test_with_an_idempotency_key_the_payment_is_stored_and_the_repeat_succeeds(gateway: Gateway) -> None:
    order = await place_in(gateway, "PAID")
    body = {"new_state": "PAID", "payment_transaction_id": "ch_second"}
    responses = [
        await gateway.call(
            "PATCH", f"/orders/{order['id']}/state", body, headers={"Idempotency-Key": f"notice-{order['id']}"}
        )
        for _ in range(3)
    ]
    assert [response.status_code for response in responses] == [409, 200, 200]
    assert [response.headers.get("Idempotency-Replayed") for response in responses] == [None, None, "true"]
    assert responses[1].json() == responses[2].json() == await get_order(gateway, order)
    assert [event for event, _ in (await audit_and_events_of(gateway, order)).events].count(
        "order.surplus_payment"
    ) == 1


@pytest.mark.parametrize(("key", "status"), [("client", 403), ("warehouse", 403), ("payments", 409), ("manager", 409)])
async def test_only_roles_that_may_report_payments_can_store_one(gateway: Gateway, key: str, status: int) -> None:
    order = await place_in(gateway, "PAID")
    assert (await report(gateway, order, "ch_second", key=key)).status_code == status
    assert len((await get_order(gateway, order))["payments"]) == (2 if status == 409 else 1)
    assert (await report(gateway, order, "ch_teacups", key=key)).status_code == (200 if status == 409 else 403)


async def test_the_same_reference_for_two_orders_means_two_payments(gateway: Gateway) -> None:
    """One payment may pay for several orders; the provider refunds no more than it captured."""
    first, second = await place(gateway), await place(gateway)
    assert [(await report(gateway, order, "ch_basket")).status_code for order in (first, second)] == [200, 200]


async def test_a_list_of_orders_has_their_payments(fresh_gateway: Gateway) -> None:
    order = await place_in(fresh_gateway, "PAID")
    await report(fresh_gateway, order, "ch_second")
    page = (await fresh_gateway.get("/orders")).json()
    assert page["data"] == [await get_order(fresh_gateway, order)]


async def test_of_more_than_a_hundred_payments_all_are_recognised_and_a_hundred_are_shown(gateway: Gateway) -> None:
    order = await place_in(gateway, "PAID")
    for number in range(101):
        assert (await report(gateway, order, f"ch_{number}")).status_code == 409
    before = await audit_and_events_of(gateway, order)
    for number in (0, 98, 99, 100):
        assert (await report(gateway, order, f"ch_{number}")).status_code == 200
    assert await audit_and_events_of(gateway, order) == before
    assert [payment["reference"] for payment in (await get_order(gateway, order))["payments"]] == [
        "ch_teacups",
        *(f"ch_{number}" for number in range(99)),
    ]
