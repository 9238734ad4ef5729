"""Authorization of the returns routes: each role with each route and state, and each owner."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from common.access.auth import Role
from common.database.transactions import transaction
from support.example.ada import ADA
from support.example.returns import a_return, changed, deliver_order_event, open_in, open_return, order_view_data
from support.gateway.application import Gateway
from support.postgres.audit_and_events import audit_and_events

ROUTES: dict[str, tuple[str, dict[str, str], str, set[str]]] = {
    # Route, body, state before, and permitted roles.
    "approve": ("approve", {"manager_notes": "cracks"}, "REQUESTED", {"manager", "ops"}),
    "reject": (
        "reject",
        {"manager_notes": "used", "rejection_reason": "policy_violation"},
        "REQUESTED",
        {"manager", "ops"},
    ),
    "ship back": ("state", {"new_state": "IN_TRANSIT"}, "APPROVED", {"client", "warehouse", "manager", "ops"}),
    "receive": ("state", {"new_state": "RECEIVED"}, "IN_TRANSIT", {"warehouse", "manager", "ops"}),
    "complete": ("state", {"new_state": "COMPLETED"}, "RECEIVED", {"warehouse", "manager", "ops"}),
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("command", ROUTES)
async def test_each_step_is_permitted_only_to_its_roles(gateway: Gateway, command: str, role: Role) -> None:
    route, body, state, allowed_roles = ROUTES[command]
    before = await open_in(gateway, state)
    response = await gateway.patch(f"/returns/{before['id']}/{route}", body, key=role)
    if role in allowed_roles:
        assert response.status_code == 200
    else:
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "FORBIDDEN"
        assert (await gateway.get(f"/returns/{before['id']}")).json() == before
        transitions = (await audit_and_events(gateway.pool, "RETURN", before["id"])).transitions
        assert transitions[-1][1:] == (state, "ACCEPTED")


@pytest.mark.parametrize("role", Role)
async def test_only_clients_and_ops_may_open_returns(gateway: Gateway, role: Role) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    response = await gateway.post("/returns", a_return(order_id), key=role)
    assert response.status_code == (201 if role in {Role.CLIENT, Role.OPS} else 403)


@pytest.mark.parametrize("role", Role)
async def test_every_role_may_read_everything(gateway: Gateway, role: Role) -> None:
    new_return = await open_return(gateway)
    for path in ("/returns", f"/returns/{new_return['id']}", f"/returns/{new_return['id']}/history", "/metrics"):
        assert (await gateway.get(path, key=role)).status_code == 200


def requests_about(return_id: str) -> list[tuple[str, str, Any]]:
    path = f"/returns/{return_id}"
    return [
        ("GET", path, None),
        ("GET", f"{path}/history", None),
        ("GET", f"{path}/history?include=all", None),
        ("PATCH", f"{path}/state", {"new_state": "IN_TRANSIT"}),
        ("PATCH", f"{path}/state", {"new_state": "COMPLETED"}),
    ]


async def test_a_bound_client_has_access_only_to_its_own_returns(gateway: Gateway) -> None:
    approved = await open_in(gateway, "APPROVED")
    stranger, ada = await gateway.new_client(uuid4()), await gateway.new_client(ADA)
    unknown_id = str(uuid4())
    for foreign_request, missing_request in zip(
        requests_about(approved["id"]), requests_about(unknown_id), strict=True
    ):
        foreign = await gateway.call(foreign_request[0], foreign_request[1], foreign_request[2], key=stranger)
        missing = await gateway.call(missing_request[0], missing_request[1], missing_request[2], key=stranger)
        assert (foreign.status_code, missing.status_code) == (404, 404)
        assert foreign.text.replace(approved["id"], unknown_id) == missing.text
    assert [row["new_state"] for row in (await gateway.get(f"/returns/{approved['id']}/history")).json()["data"]] == [
        "APPROVED"
    ]
    assert (await gateway.get(f"/returns/{approved['id']}", key=ada)).json() == approved
    changed(await gateway.patch(f"/returns/{approved['id']}/state", {"new_state": "IN_TRANSIT"}, key=ada))


async def test_a_missing_return_is_reported_before_a_forbidden_target_state(gateway: Gateway) -> None:
    path = f"/returns/{uuid4()}/state"
    assert (await gateway.patch(path, {"new_state": "COMPLETED"}, key="client")).status_code == 404
    assert (await gateway.patch(path, {"new_state": "COMPLETED"}, key="payments")).status_code == 403


@pytest.mark.parametrize("key", ["", "client.a-wrong-secret-0000", "nobody"])
async def test_without_a_valid_key_nothing_is_disclosed(gateway: Gateway, key: str) -> None:
    new_return = await open_return(gateway)
    response = await gateway.get(f"/returns/{new_return['id']}", key=key)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "UNAUTHENTICATED"


async def test_a_foreign_return_is_not_found_even_while_its_row_is_locked(gateway: Gateway) -> None:
    new_return, stranger = await open_in(gateway, "APPROVED"), await gateway.new_client(uuid4())
    async with transaction(gateway.pool) as connection:
        await connection.execute("SELECT 1 FROM returns WHERE id = $1 FOR UPDATE", new_return["id"])
        async with asyncio.timeout(10):
            response = await gateway.patch(
                f"/returns/{new_return['id']}/state", {"new_state": "IN_TRANSIT"}, key=stranger
            )
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_a_foreign_return_causes_the_same_statements_as_a_missing_one(gateway: Gateway) -> None:
    new_return, stranger = await open_return(gateway), await gateway.new_client(uuid4())
    for path in ("", "/history", "/history?include=all"):
        foreign = await gateway.get(f"/returns/{new_return['id']}{path}", key=stranger)
        missing = await gateway.get(f"/returns/{uuid4()}{path}", key=stranger)
        assert foreign.status_code == missing.status_code == 404
    assert (await gateway.get(f"/returns?order_id={new_return['order_id']}", key=stranger)).json()["data"] == []
