"""`POST /returns`: which orders can be returned, what is stored, and the details of each rejection."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from common.access import api_keys
from common.access.auth import Caller, Role
from common.database.transactions import transaction
from common.errors import Problem
from httpx import Response
from returns.domain.return_ import NewReturn
from returns.domain.review import ReviewPolicy
from returns.use_cases.opening import open_return as open_return_use_case
from support.events.traceparent import TRACEPARENT
from support.example.ada import ADA
from support.example.orders import created
from support.example.returns import a_return, deliver_order_event, open_in, open_return, order_view_data
from support.gateway.application import Gateway, exact_json
from support.postgres.audit_and_events import AuditAndEvents, audit_and_events, last_event
from support.waiting import eventually

CLIENT = Caller(api_keys.entity_id("client"), "client", Role.CLIENT, None, None, TRACEPARENT)


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


def rejection_details(response: Response) -> dict[str, Any]:
    assert response.status_code == 409, response.text
    assert response.json()["error"]["code"] == "RETURN_NOT_ALLOWED"
    details: dict[str, Any] = response.json()["error"]["details"]
    return details


async def returns_of(gateway: Gateway, order_id: str) -> int:
    total: int = (await gateway.get(f"/returns?order_id={order_id}")).json()["pagination"]["total"]
    return total


async def test_a_delivered_order_can_be_returned(gateway: Gateway) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    body = a_return(order_id, customer_notes="It was well wrapped.")
    response = await gateway.post("/returns", body, key="client")
    new_return = created(response)
    assert response.headers["Location"] == f"/api/v1/returns/{new_return['id']}"
    assert (await gateway.get(f"/returns/{new_return['id']}")).json() == new_return
    assert new_return == {
        "id": new_return["id"],
        "order_id": order_id,
        "status": "REQUESTED",
        "reason": "One teacup came in two.",
        "customer_notes": "It was well wrapped.",
        "manager_notes": None,
        "rejection_reason": None,
        "refund_amount": 79.06,
        "currency": "EUR",
        "refund_status": "NONE",
        "refund_transaction_id": None,
        "created_at": new_return["created_at"],
        "updated_at": new_return["created_at"],
        "approved_at": None,
        "rejected_at": None,
        "completed_at": None,
        "external_id": None,
        "metadata": {},
        "approvals": [],
        "version": 1,
    }
    stored_rows = await audit_and_events(gateway.pool, "RETURN", new_return["id"])
    assert stored_rows == AuditAndEvents([(None, "REQUESTED", "ACCEPTED")], [("return.requested", 1)])
    assert (await last_event(gateway.pool, new_return["id"]))["refund_amount"] == "79.06"


@pytest.mark.parametrize(("currency", "total"), [("EUR", "0.30"), ("JPY", "1210"), ("KWD", "1.055"), ("CLF", "0.0001")])
async def test_the_amount_is_the_orders_total_to_the_last_digit(gateway: Gateway, currency: str, total: str) -> None:
    new_return = await open_return(gateway, order_view_data(currency=currency, total_amount=total))
    response = await gateway.get(f"/returns/{new_return['id']}")
    assert f'"refund_amount":{total},' in response.text
    assert exact_json(response)["currency"] == currency
    assert (await last_event(gateway.pool, new_return["id"]))["refund_amount"] == total


async def test_an_unknown_order_is_not_found(gateway: Gateway) -> None:
    order_id = str(uuid4())
    response = await gateway.post("/returns", a_return(order_id))
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "NOT_FOUND"
    assert response.json()["error"]["details"] == {"order": order_id}


@pytest.mark.parametrize("status", ["PENDING_PAYMENT", "PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED", "CANCELLED"])
async def test_an_undelivered_order_cannot_be_returned(gateway: Gateway, status: str) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data(status=status, delivered_at=None))
    details = rejection_details(await gateway.post("/returns", a_return(order_id)))
    assert details == {"reason": "not_delivered", "order_status": status}
    assert await returns_of(gateway, order_id) == 0


async def test_a_return_one_second_before_the_end_of_the_window_is_accepted(gateway: Gateway) -> None:
    await open_return(gateway, order_view_data(delivered_at=ago(days=30, seconds=-1)))


async def test_a_return_one_second_after_the_end_of_the_window_is_rejected(gateway: Gateway) -> None:
    order_data = order_view_data(delivered_at=ago(days=30, seconds=1))
    order_id = await deliver_order_event(gateway.pool, order_data)
    details = rejection_details(await gateway.post("/returns", a_return(order_id)))
    assert (details["reason"], details["order_status"], details["window_days"]) == ("window_expired", "DELIVERED", 30)
    assert datetime.fromisoformat(details["delivered_at"]) == datetime.fromisoformat(order_data["delivered_at"])


@pytest.mark.parametrize(("late_by", "allowed"), [(timedelta(0), True), (timedelta(microseconds=1), False)])
async def test_the_window_is_checked_with_the_time_of_the_requests_arrival(
    gateway: Gateway, late_by: timedelta, allowed: bool
) -> None:
    arrived_at = datetime.now(UTC) - timedelta(seconds=1)
    order_data = order_view_data(delivered_at=(arrived_at - timedelta(days=30) - late_by).isoformat())
    await deliver_order_event(gateway.pool, order_data)
    new = NewReturn(UUID(order_data["order_id"]), "One teacup came in two.")
    async with transaction(gateway.pool) as connection:
        opening = open_return_use_case(connection, CLIENT, new, 30, ReviewPolicy(), waited_since=arrived_at)
        if allowed:
            assert (await opening).created_at > arrived_at
        else:
            with pytest.raises(Problem, match="is over"):
                await opening


@pytest.mark.parametrize("state", ["REQUESTED", "REJECTED", "COMPLETED"])
async def test_an_order_has_at_most_one_return_for_ever(gateway: Gateway, state: str) -> None:
    new_return = await open_in(gateway, state)
    details = rejection_details(await gateway.post("/returns", a_return(new_return["order_id"])))
    assert details == {"reason": "already_returned", "order_status": "DELIVERED"}
    assert await returns_of(gateway, new_return["order_id"]) == 1


async def test_of_twenty_concurrent_returns_of_one_order_one_is_opened(gateway: Gateway) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    rows_before = await gateway.pool.fetchval("SELECT count(*) FROM audit")
    responses = await asyncio.gather(*(gateway.post("/returns", a_return(order_id)) for _ in range(20)))
    assert Counter(response.status_code for response in responses) == {201: 1, 409: 19}
    assert {rejection_details(response)["reason"] for response in responses if response.status_code == 409} == {
        "already_returned"
    }
    assert await returns_of(gateway, order_id) == 1
    new_return = next(response.json() for response in responses if response.status_code == 201)
    stored_rows = await audit_and_events(gateway.pool, "RETURN", new_return["id"])
    assert stored_rows == AuditAndEvents([(None, "REQUESTED", "ACCEPTED")], [("return.requested", 1)])
    assert await gateway.pool.fetchval("SELECT count(*) FROM audit") == rows_before + 1
    assert await gateway.pool.fetchval("SELECT count(*) FROM outbox WHERE key = $1", order_id) == 1


async def test_a_return_that_a_concurrent_one_precedes_is_rejected_like_any_second_return(
    gateway: Gateway,
) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())

    async def waits_for_the_other() -> bool:
        return bool(await gateway.pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

    async with transaction(gateway.pool) as connection:
        await open_return_use_case(connection, CLIENT, NewReturn(UUID(order_id), "Broken"), 30, ReviewPolicy())
        second = asyncio.create_task(gateway.post("/returns", a_return(order_id)))
        await eventually(waits_for_the_other)
    assert rejection_details(await second) == {"reason": "already_returned", "order_status": "DELIVERED"}
    assert await returns_of(gateway, order_id) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "Broken"}, "order_id"),
        ({"order_id": "42", "reason": "Broken"}, "order_id"),
        ({"order_id": str(uuid4())}, "reason"),
        ({"order_id": str(uuid4()), "reason": ""}, "reason"),
        ({"order_id": str(uuid4()), "reason": "r" * 1001}, "reason"),
        ({"order_id": str(uuid4()), "reason": "Broken", "customer_notes": "n" * 2001}, "customer_notes"),
        ({"order_id": str(uuid4()), "reason": "Broken", "refund_amount": 1_000_000}, "refund_amount"),
    ],
)
async def test_a_body_with_missing_unknown_or_invalid_fields_is_rejected(
    gateway: Gateway, body: dict[str, Any], field: str
) -> None:
    response = await gateway.post("/returns", body)
    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"] == field


async def test_the_longest_permitted_texts_are_accepted(gateway: Gateway) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    new_return = created(
        await gateway.post("/returns", a_return(order_id, reason="ü" * 1000, customer_notes="ł" * 2000))
    )
    assert (len(new_return["reason"]), len(new_return["customer_notes"])) == (1000, 2000)


@pytest.mark.parametrize("text", ["", "  ", "\u200b\u3164"])
async def test_customer_notes_may_be_empty(gateway: Gateway, text: str) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    new_return = created(await gateway.post("/returns", a_return(order_id, customer_notes=text)))
    payload = await gateway.pool.fetchval("SELECT payload FROM outbox WHERE aggregateid = $1", new_return["id"])
    assert new_return["customer_notes"] == json.loads(payload)["customer_notes"] == ""
    assert (await gateway.get(f"/returns/{new_return['id']}")).json() == new_return


@pytest.mark.parametrize("text", ["", "\u200b", "\u2800 \ufe0f"])
async def test_a_reason_needs_a_visible_character(gateway: Gateway, text: str) -> None:
    response = await gateway.post("/returns", a_return(str(uuid4()), reason=text))
    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"] == "reason"


async def test_the_same_key_and_body_open_one_return(gateway: Gateway) -> None:
    body = a_return(await deliver_order_event(gateway.pool, order_view_data()))
    key = {"Idempotency-Key": str(uuid4())}
    first, again = [await gateway.call("POST", "/returns", body, headers=key) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_another_customers_order_is_not_found(gateway: Gateway) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    stranger, ada = await gateway.new_client(uuid4()), await gateway.new_client(ADA)
    response = await gateway.post("/returns", a_return(order_id), key=stranger)
    assert response.status_code == 404
    assert response.json()["error"]["details"] == {"order": order_id}
    created(await gateway.post("/returns", a_return(order_id), key=ada))
    assert (await gateway.post("/returns", a_return(order_id), key=stranger)).status_code == 404
