"""Every state with every command over HTTP, with the audit rows and events that result."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from common.access import api_keys
from returns.domain.return_ import ALLOWED_TRANSITIONS, ReturnStatus
from support.example.returns import PATHS, changed, open_in, open_return
from support.gateway.application import Gateway
from support.postgres.audit_and_events import AuditAndEvents, audit_and_events, last_event

COMMANDS: dict[str, tuple[str, dict[str, str]]] = {
    "APPROVED": ("approve", {"manager_notes": "cracks are visible on the photo"}),
    "REJECTED": ("reject", {"manager_notes": "used for years", "rejection_reason": "policy_violation"}),
    "IN_TRANSIT": ("state", {"new_state": "IN_TRANSIT", "reason": "handed in at the shop"}),
    "RECEIVED": ("state", {"new_state": "RECEIVED"}),
    "COMPLETED": ("state", {"new_state": "COMPLETED"}),
}


async def audit_and_events_of(gateway: Gateway, return_data: dict[str, Any]) -> AuditAndEvents:
    return await audit_and_events(gateway.pool, "RETURN", return_data["id"])


@pytest.mark.parametrize("target", COMMANDS)
@pytest.mark.parametrize("state", ReturnStatus)
async def test_each_state_permits_its_commands_and_refuses_the_others(
    gateway: Gateway, state: ReturnStatus, target: str
) -> None:
    before = await open_in(gateway, state)
    stored_before = await audit_and_events_of(gateway, before)
    route, body = COMMANDS[target]
    response = await gateway.patch(f"/returns/{before['id']}/{route}", body)
    changes = (await audit_and_events_of(gateway, before)).since(stored_before)
    now = (await gateway.get(f"/returns/{before['id']}")).json()
    if target in ALLOWED_TRANSITIONS[state]:
        assert response.status_code == 200
        assert response.json() == now
        assert (now["status"], now["version"]) == (target, before["version"] + 1)
        assert changes == AuditAndEvents([(state, target, "ACCEPTED")], [(f"return.{target.lower()}", now["version"])])
    else:
        assert response.status_code == 409
        assert response.json()["error"]["code"] == "INVALID_STATE_TRANSITION"
        assert response.json()["error"]["details"] == {
            "current_state": state,
            "requested_state": target,
            "allowed_transitions": list(ALLOWED_TRANSITIONS[state]),
        }
        assert changes == AuditAndEvents([(state, target, "REFUSED")], [])
        assert now == before


async def test_the_event_of_a_completed_return_has_all_data_for_the_refund(gateway: Gateway) -> None:
    completed = await open_in(gateway, "COMPLETED")
    assert completed["refund_status"] == "PENDING"
    event = await last_event(gateway.pool, completed["id"])
    assert event["return_id"] == completed["id"]
    assert (event["status"], event["version"]) == ("COMPLETED", 5)
    assert (event["refund_amount"], event["currency"], event["payment_reference"]) == ("79.06", "EUR", "ch_teacups")
    assert (event["customer_email"], event["customer_name"]) == ("ada@example.org", "Ada Łukasiewicz")
    assert event["refund_status"] == "PENDING"
    assert event["completed_at"] == completed["completed_at"]


async def test_events_have_the_orders_key_and_the_trace_of_the_request(gateway: Gateway) -> None:
    new_return = await open_return(gateway)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await gateway.call(
        "PATCH", f"/returns/{new_return['id']}/approve", COMMANDS["APPROVED"][1], headers={"traceparent": trace}
    )
    row = await gateway.pool.fetchrow(
        "SELECT topic, key, traceparent FROM outbox WHERE aggregateid = $1 AND sequence = 2", new_return["id"]
    )
    assert row is not None
    assert (row["topic"], row["key"]) == ("articurated.returns", new_return["order_id"])
    assert row["traceparent"][3:35] == trace[3:35]


async def test_manager_notes_and_the_reason_of_a_rejection_are_shown(gateway: Gateway) -> None:
    rejected = await open_in(gateway, "REJECTED")
    assert (rejected["manager_notes"], rejected["rejection_reason"]) == ("used for years", "policy_violation")
    assert rejected["rejected_at"] == rejected["updated_at"]
    assert (rejected["approved_at"], rejected["completed_at"]) == (None, None)


async def test_of_twenty_concurrent_changes_of_one_return_exactly_one_succeeds(gateway: Gateway) -> None:
    new_return = await open_return(gateway)
    stored_before = await audit_and_events_of(gateway, new_return)
    path, body = f"/returns/{new_return['id']}/approve", COMMANDS["APPROVED"][1]
    responses = await asyncio.gather(*(gateway.patch(path, body) for _ in range(20)))
    assert Counter(response.status_code for response in responses) == {200: 1, 409: 19}
    changes = (await audit_and_events_of(gateway, new_return)).since(stored_before)
    assert Counter(outcome for _, _, outcome in changes.transitions) == {"ACCEPTED": 1, "REFUSED": 19}
    assert changes.events == [("return.approved", 2)]


async def test_the_history_shows_transitions_and_optionally_refused_attempts(gateway: Gateway) -> None:
    new_return = await open_return(gateway, customer_notes="It was well wrapped.")
    path = f"/returns/{new_return['id']}"
    assert (await gateway.patch(f"{path}/state", COMMANDS["RECEIVED"][1], key="warehouse")).status_code == 409
    changed(await gateway.patch(f"{path}/approve", COMMANDS["APPROVED"][1], key="manager"))
    changed(await gateway.patch(f"{path}/state", COMMANDS["IN_TRANSIT"][1], key="client"))
    short = (await gateway.get(f"{path}/history")).json()["data"]
    assert [(row["previous_state"], row["new_state"]) for row in short] == [
        ("REQUESTED", "APPROVED"),
        ("APPROVED", "IN_TRANSIT"),
    ]
    full = (await gateway.get(f"{path}/history?include=all")).json()["data"]
    assert [row["outcome"] for row in full] == ["ACCEPTED", "REFUSED", "ACCEPTED", "ACCEPTED"]
    assert [row["metadata"] for row in full] == [
        {
            "actor_name": "client",
            "order_id": new_return["order_id"],
            "reason": "One teacup came in two.",
            "customer_notes": "It was well wrapped.",
            "refund_amount": "79.06",
            "currency": "EUR",
        },
        {"actor_name": "warehouse"},
        {"actor_name": "manager", "manager_notes": "cracks are visible on the photo"},
        {"actor_name": "client", "reason": "handed in at the shop"},
    ]
    for row in full:
        assert (row["entity_type"], row["entity_id"]) == ("RETURN", new_return["id"])
        assert (row["actor_type"], row["trigger"], row["ip_address"]) == ("USER", "API_CALL", "192.0.2.7")
    assert [row["actor_id"] for row in full] == [
        str(api_keys.entity_id(prefix)) for prefix in ("client", "warehouse", "manager", "client")
    ]


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        ("approve", {}, "manager_notes"),
        ("approve", {"manager_notes": " "}, "manager_notes"),
        ("approve", {"manager_notes": "n" * 1001}, "manager_notes"),
        ("approve", {"manager_notes": "fine", "refund_amount": 1}, "refund_amount"),
        ("reject", {"rejection_reason": "fraudulent"}, "manager_notes"),
        ("reject", {"manager_notes": "used for years"}, "rejection_reason"),
        ("reject", {"manager_notes": "used for years", "rejection_reason": "bad mood"}, "rejection_reason"),
        ("state", {}, "new_state"),
        ("state", {"new_state": "APPROVED"}, "new_state"),
        ("state", {"new_state": "REJECTED"}, "new_state"),
        ("state", {"new_state": "REQUESTED"}, "new_state"),
        ("state", {"new_state": "LOST"}, "new_state"),
        ("state", {"new_state": "IN_TRANSIT", "reason": "r" * 501}, "reason"),
        ("state", {"new_state": "IN_TRANSIT", "carrier": "DHL"}, "carrier"),
    ],
)
async def test_an_invalid_body_is_rejected_and_stores_nothing(
    gateway: Gateway, route: str, body: dict[str, Any], field: str
) -> None:
    new_return = await open_return(gateway)
    stored_before = await audit_and_events_of(gateway, new_return)
    response = await gateway.patch(f"/returns/{new_return['id']}/{route}", body)
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "VALIDATION_ERROR"
    details = response.json()["error"]["details"]
    assert details["field"] == field
    assert "ReturnStatus" not in details["issue"]
    assert await audit_and_events_of(gateway, new_return) == stored_before


async def test_the_longest_permitted_notes_are_accepted(gateway: Gateway) -> None:
    new_return = await open_return(gateway)
    approved = changed(await gateway.patch(f"/returns/{new_return['id']}/approve", {"manager_notes": "ü" * 1000}))
    assert len(approved["manager_notes"]) == 1000


async def test_a_repeated_idempotency_key_changes_the_return_once(gateway: Gateway) -> None:
    new_return = await open_return(gateway)
    path, body, key = (
        f"/returns/{new_return['id']}/approve",
        PATHS["APPROVED"][0][1],
        {"Idempotency-Key": "approve-once"},
    )
    first, again = [await gateway.call("PATCH", path, body, headers=key) for _ in range(2)]
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
