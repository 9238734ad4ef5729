"""Conditional requests for one order: `ETag`, 304 and 412 (ADR 31)."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from common.access.auth import Role
from httpx import Response
from support.example.ada import CUSTOMER
from support.example.orders import an_order, an_order_id, place, place_in
from support.gateway.application import Gateway

PAID = {"new_state": "PAID", "payment_transaction_id": "ch_teacups"}
CANCEL = {"reason": "changed her mind"}


async def change(gateway: Gateway, order: dict[str, Any], body: dict[str, Any], **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await gateway.call("PATCH", f"/orders/{order['id']}/state", body, headers=names)


async def read(gateway: Gateway, order: dict[str, Any], method: str = "GET", **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await gateway.call(method, f"/orders/{order['id']}", headers=names)


def failed(response: Response, version: int) -> None:
    assert response.status_code == 412, response.text
    assert response.json()["error"]["code"] == "PRECONDITION_FAILED"
    assert response.json()["error"]["details"] == {"current_version": version}
    assert response.headers["ETag"] == f'"{version}"'


async def test_every_answer_with_one_order_has_its_version_as_a_strong_tag(gateway: Gateway) -> None:
    new = await gateway.post("/orders", an_order())
    assert new.headers["ETag"] == '"1"'
    order = new.json()
    assert (await change(gateway, order, PAID)).headers["ETag"] == '"2"'
    cancelled = await gateway.post(f"/orders/{order['id']}/cancel", CANCEL)
    assert cancelled.headers["ETag"] == f'"{cancelled.json()["version"]}"' == '"3"'
    for method in ("GET", "HEAD"):
        assert (await read(gateway, order, method)).headers["ETag"] == '"3"'
    assert "ETag" not in (await gateway.get("/orders")).headers
    assert "ETag" not in (await gateway.get(f"/orders/{order['id']}/history")).headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_client_that_has_the_current_version_gets_304_without_a_body(gateway: Gateway, method: str) -> None:
    order = await place(gateway)
    for value in ('"1"', 'W/"1"', '"5", "1"', "*"):
        response = await read(gateway, order, method, If_None_Match=value)
        assert (response.status_code, response.content) == (304, b""), value
        assert response.headers["ETag"] == '"1"'
        assert "Content-Length" not in response.headers
        assert "Content-Type" not in response.headers
    await change(gateway, order, PAID)
    changed = await read(gateway, order, method, If_None_Match='"1"')
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')


async def test_reading_with_if_match_needs_the_named_version(gateway: Gateway) -> None:
    order = await place(gateway)
    assert (await read(gateway, order, If_Match='"1"')).status_code == 200
    failed(await read(gateway, order, If_Match='"2"'), 1)
    failed(await read(gateway, order, If_Match='"2"', If_None_Match='"1"'), 1)


async def test_a_change_with_the_current_tag_is_made_and_one_with_an_older_tag_is_not(gateway: Gateway) -> None:
    order = await place(gateway)
    paid = await change(gateway, order, PAID, If_Match='"1"')
    assert (paid.status_code, paid.json()["version"]) == (200, 2)
    path = f"/orders/{order['id']}/cancel"
    failed(await gateway.call("POST", path, CANCEL, headers={"If-Match": '"1"'}), 2)
    assert (await read(gateway, order)).json() == paid.json()
    cancelled = await gateway.call("POST", path, CANCEL, headers={"If-Match": paid.headers["ETag"]})
    assert cancelled.json()["status"] == "CANCELLED"


async def test_if_match_with_a_star_only_needs_the_order(gateway: Gateway) -> None:
    order = await place(gateway)
    assert (await change(gateway, order, PAID, If_Match="*")).status_code == 200
    assert (await change(gateway, {"id": an_order_id()}, PAID, If_Match="*")).status_code == 404


async def test_a_weak_tag_permits_no_change(gateway: Gateway) -> None:
    order = await place(gateway)
    failed(await change(gateway, order, PAID, If_Match='W/"1"'), 1)


async def test_a_change_with_if_none_match_is_made_unless_the_client_has_the_version(gateway: Gateway) -> None:
    order = await place(gateway)
    for value in ('"1"', 'W/"1"', "*"):
        failed(await change(gateway, order, PAID, If_None_Match=value), 1)
    assert (await change(gateway, order, PAID, If_None_Match='"7"')).status_code == 200


async def test_of_several_errors_the_first_in_the_contracts_order_is_returned(gateway: Gateway) -> None:
    order, stale = await place(gateway), {"If-Match": '"9"'}
    path = f"/orders/{order['id']}/state"
    owner = await gateway.new_client(CUSTOMER["customer_id"])
    stranger = await gateway.new_client(uuid4())
    impossible = {"new_state": "DELIVERED"}
    assert (await gateway.call("PATCH", path, {"new_state": 7}, headers=stale)).status_code == 422
    assert (await gateway.call("PATCH", path, impossible, headers={"If-Match": "9"})).status_code == 400
    assert (await gateway.call("PATCH", path, impossible, key=stranger, headers=stale)).status_code == 404
    assert (await gateway.call("PATCH", path, impossible, key=owner, headers=stale)).status_code == 403
    assert (await gateway.call("PATCH", path, impossible, headers=stale)).status_code == 412
    assert (await gateway.call("PATCH", path, impossible, headers={"If-Match": '"1"'})).status_code == 409


async def test_a_failed_condition_leaves_no_trace_and_stores_no_payment(gateway: Gateway) -> None:
    order = await place_in(gateway, "CANCELLED")
    history = (await gateway.get(f"/orders/{order['id']}/history?include=all")).json()
    failed(await change(gateway, order, PAID, If_Match='"1"'), 2)
    assert (await read(gateway, order)).json() == order
    assert (await gateway.get(f"/orders/{order['id']}/history?include=all")).json() == history


async def test_of_concurrent_changes_with_one_tag_exactly_one_is_made(gateway: Gateway) -> None:
    """Cancelling is possible from both states: without the condition several of them could be accepted."""
    order = await place_in(gateway, "PAID")
    bodies = [{"new_state": "PROCESSING_IN_WAREHOUSE"}, {"new_state": "CANCELLED", "reason": "changed her mind"}] * 10
    responses = await asyncio.gather(*(change(gateway, order, body, If_Match='"2"') for body in bodies))
    assert sorted(response.status_code for response in responses) == [200] + [412] * 19
    for response in responses:
        if response.status_code == 412:
            failed(response, 3)


async def test_a_replay_has_the_tag_of_the_first_answer_whatever_its_condition(gateway: Gateway) -> None:
    order = await place(gateway)
    first = await change(gateway, order, PAID, Idempotency_Key="paid once", If_Match='"1"')
    await change(gateway, order, {"new_state": "PROCESSING_IN_WAREHOUSE"})
    malformed = await change(gateway, order, PAID, Idempotency_Key="paid once", If_Match="")
    assert malformed.status_code == 400, "a stored response must not hide a condition that nobody can check"
    again = await change(gateway, order, PAID, Idempotency_Key="paid once", If_Match='"1"')
    assert (again.status_code, again.content, again.headers["ETag"]) == (200, first.content, '"2"')
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_failed_condition_is_not_stored_for_an_idempotency_key(gateway: Gateway) -> None:
    order = await place(gateway)
    failed(await change(gateway, order, PAID, Idempotency_Key="corrected", If_Match='"9"'), 1)
    assert (await change(gateway, order, PAID, Idempotency_Key="corrected", If_Match='"1"')).status_code == 200


async def test_placing_an_order_refuses_a_condition_because_nothing_has_a_version_yet(gateway: Gateway) -> None:
    for headers in ({"If-None-Match": "*"}, {"If-Match": "*"}):
        response = await gateway.call("POST", "/orders", an_order(), key=Role.CLIENT, headers=headers)
        assert (response.status_code, response.json()["error"]["details"]) == (412, {"current_version": None})


async def test_every_visible_change_gives_another_tag(gateway: Gateway) -> None:
    """Also those without a transition: a payment's id that comes later, and a surplus payment."""
    order = await place(gateway)
    tags, documents = {(await read(gateway, order)).headers["ETag"]}, 1
    steps: list[dict[str, Any]] = [
        {"new_state": "PAID"},
        {"new_state": "PAID", "payment_transaction_id": "ch_1"},
        {"new_state": "PAID", "payment_transaction_id": "ch_2"},
        {"new_state": "PROCESSING_IN_WAREHOUSE"},
        {"new_state": "SHIPPED", "tracking_number": "JJD0099"},
        {"new_state": "DELIVERED"},
        {"new_state": "PAID", "payment_transaction_id": "ch_3"},
    ]
    seen = (await read(gateway, order)).json()
    for step in steps:
        await change(gateway, order, step)
        response = await read(gateway, order)
        assert response.json() != seen
        seen = response.json()
        tags.add(response.headers["ETag"])
        documents += 1
    assert len(tags) == documents
