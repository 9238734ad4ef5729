"""Conditional requests for one return: `ETag`, 304 and 412 (ADR 31)."""

from typing import Any

import pytest
from support.example.returns import a_return, deliver_order_event, open_in, open_return, order_view_data
from support.gateway.application import Gateway

COMMANDS: dict[str, tuple[str, dict[str, str]]] = {
    "approve": ("REQUESTED", {"manager_notes": "cracks are visible on the photo"}),
    "reject": ("REQUESTED", {"manager_notes": "used for years", "rejection_reason": "policy_violation"}),
    "state": ("APPROVED", {"new_state": "IN_TRANSIT"}),
}


async def test_opening_and_reading_a_return_have_its_version_as_a_strong_tag(gateway: Gateway) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    opened = await gateway.post("/returns", a_return(order_id))
    assert opened.headers["ETag"] == '"1"'
    path = f"/returns/{opened.json()['id']}"
    assert (await gateway.get(path)).headers["ETag"] == '"1"'
    unchanged = await gateway.call("GET", path, headers={"If-None-Match": 'W/"1"'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", '"1"')


@pytest.mark.parametrize("route", COMMANDS)
async def test_each_change_checks_the_condition_before_the_transition(gateway: Gateway, route: str) -> None:
    state, body = COMMANDS[route]
    before = await open_in(gateway, state)
    path, version = f"/returns/{before['id']}/{route}", before["version"]

    async def send(tag: str) -> Any:
        return await gateway.call("PATCH", path, body, headers={"If-Match": tag})

    stale = await send('"9"')
    assert (stale.status_code, stale.headers["ETag"]) == (412, f'"{version}"')
    assert stale.json()["error"]["details"] == {"current_version": version}
    assert (await gateway.get(f"/returns/{before['id']}")).json() == before
    accepted = await send(f'"{version}"')
    assert (accepted.status_code, accepted.headers["ETag"]) == (200, f'"{version + 1}"')
    assert (await send(f'"{version}"')).status_code == 412
    assert (await send(f'"{version + 1}"')).status_code == 409


async def test_opening_a_return_refuses_a_condition(gateway: Gateway) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    response = await gateway.call("POST", "/returns", a_return(order_id), headers={"If-Match": "*"})
    assert (response.status_code, response.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    await open_return(gateway, order_view_data())
