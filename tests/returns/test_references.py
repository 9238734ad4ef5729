"""References of clients to returns: an external id, unique for each client, and metadata (ADR 25)."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx
import pytest
from support.example.ada import ADA
from support.example.orders import created
from support.example.returns import PATHS, a_return, deliver_order_event, open_in, open_return, order_view_data
from support.gateway.application import Gateway
from support.postgres.audit_and_events import audit_and_events, last_event

METADATA = {"channel": "spring fair", "gift.wrap": "yes, with “ribbon”"}


def an_external_id() -> str:
    return f"rma-{uuid4()}"


def conflict(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 409, response.text
    assert response.json()["error"]["code"] == "CONFLICT", response.text
    details: dict[str, Any] = response.json()["error"]["details"]
    return details


def names_of(return_data: dict[str, Any]) -> dict[str, Any]:
    """The details of a conflict with this return."""
    return {"external_id": return_data["external_id"], "return_id": return_data["id"]}


async def test_references_are_in_the_response_in_later_reads_and_in_events(gateway: Gateway) -> None:
    external_id = an_external_id()
    opened = await open_return(gateway, external_id=external_id, metadata=METADATA)
    assert (opened["external_id"], opened["metadata"]) == (external_id, METADATA)
    assert (await gateway.get(f"/returns/{opened['id']}")).json() == opened
    [(route, body)] = PATHS["APPROVED"]
    approved = (await gateway.patch(f"/returns/{opened['id']}/{route}", body)).json()
    assert (approved["external_id"], approved["metadata"]) == (external_id, METADATA)
    event = await last_event(gateway.pool, opened["id"])
    assert (event["external_id"], event["metadata"]) == (external_id, METADATA)


@pytest.mark.parametrize("state", ["REQUESTED", "RECEIVED", "COMPLETED", "REJECTED"])
async def test_a_change_is_audited_but_no_transition(gateway: Gateway, state: str) -> None:
    current = await open_in(gateway, state)
    before = await audit_and_events(gateway.pool, "RETURN", current["id"])
    transitions = (await gateway.get(f"/returns/{current['id']}/history")).json()
    body = {"external_id": an_external_id(), "metadata": {"shelf": "B 7", "old": None}}
    changed = (await gateway.patch(f"/returns/{current['id']}", body, key="manager")).json()
    assert (changed["status"], changed["version"]) == (state, current["version"] + 1)
    assert (changed["external_id"], changed["metadata"]) == (body["external_id"], {"shelf": "B 7"})
    rows = (await audit_and_events(gateway.pool, "RETURN", current["id"])).since(before)
    assert (rows.transitions, rows.events) == ([(state, state, "ACCEPTED")], [])
    assert (await gateway.get(f"/returns/{current['id']}/history")).json() == transitions
    record = (await gateway.get(f"/returns/{current['id']}/history?include=all")).json()["data"][-1]
    assert {name: record["metadata"][name] for name in body} == body


async def test_a_request_that_changes_nothing_leaves_no_trace(gateway: Gateway) -> None:
    opened = await open_return(gateway, external_id=an_external_id(), metadata=METADATA)
    body = {"external_id": opened["external_id"], "metadata": {**METADATA, "never.set": None}}
    assert (await gateway.patch(f"/returns/{opened['id']}", body)).json() == opened


async def test_an_external_id_can_be_set_once(gateway: Gateway) -> None:
    opened = await open_return(gateway)
    first = (await gateway.patch(f"/returns/{opened['id']}", {"external_id": an_external_id()})).json()
    other = await gateway.patch(f"/returns/{opened['id']}", {"external_id": an_external_id()})
    assert conflict(other) == names_of(first)
    assert (await gateway.patch(f"/returns/{opened['id']}", {"external_id": None})).status_code == 422


async def test_a_repeated_opening_names_the_first_return_instead_of_refusing_it(gateway: Gateway) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    body = a_return(order_id, external_id=an_external_id())
    opened = created(await gateway.post("/returns", body, key="client"))
    assert conflict(await gateway.post("/returns", body, key="client")) == names_of(opened)
    other_order_id = await deliver_order_event(gateway.pool, order_view_data())
    other = await gateway.post("/returns", {**body, "order_id": other_order_id}, key="client")
    assert conflict(other) == names_of(opened)
    for changes in ({"external_id": an_external_id()}, {"external_id": None}):
        refused = await gateway.post("/returns", {**body, **changes}, key="client")
        assert refused.json()["error"]["code"] == "RETURN_NOT_ALLOWED"


async def test_of_fifty_concurrent_openings_with_one_external_id_one_succeeds_and_is_named_by_the_others(
    gateway: Gateway,
) -> None:
    body = a_return(await deliver_order_event(gateway.pool, order_view_data()), external_id=an_external_id())
    responses = await asyncio.gather(*(gateway.post("/returns", body, key="client") for _ in range(50)))
    assert Counter(response.status_code for response in responses) == {201: 1, 409: 49}
    [opened] = [response.json() for response in responses if response.status_code == 201]
    assert all(conflict(response) == names_of(opened) for response in responses if response.status_code == 409)


async def test_of_twenty_orders_returned_at_once_with_one_external_id_one_is(gateway: Gateway) -> None:
    external_id = an_external_id()
    bodies = [
        a_return(await deliver_order_event(gateway.pool, order_view_data()), external_id=external_id) for _ in range(20)
    ]
    responses = await asyncio.gather(*(gateway.post("/returns", body) for body in bodies))
    assert Counter(response.status_code for response in responses) == {201: 1, 409: 19}
    [opened] = [response.json() for response in responses if response.status_code == 201]
    assert all(conflict(response) == names_of(opened) for response in responses if response.status_code == 409)


async def test_an_external_id_is_unique_for_each_customer(gateway: Gateway) -> None:
    external_id, other_customer = an_external_id(), uuid4()
    for customer in (ADA, other_customer):
        order_id = await deliver_order_event(gateway.pool, order_view_data(customer_id=str(customer)))
        key = await gateway.new_client(customer)
        created(await gateway.post("/returns", a_return(order_id, external_id=external_id), key=key))


@pytest.mark.parametrize("role", ["manager", "ops"])
async def test_an_external_id_that_staff_sets_is_the_customers_own(gateway: Gateway, role: str) -> None:
    opened, adas_key = await open_return(gateway), await gateway.new_client(ADA)
    external_id = an_external_id()
    named = (await gateway.patch(f"/returns/{opened['id']}", {"external_id": external_id}, key=role)).json()
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    response = await gateway.post("/returns", a_return(order_id, external_id=external_id), key=adas_key)
    assert conflict(response) == names_of(named)


async def test_a_return_that_staff_opens_for_a_customer_is_named_to_the_customers_client(gateway: Gateway) -> None:
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    body, adas_key = a_return(order_id, external_id=an_external_id()), await gateway.new_client(ADA)
    opened = created(await gateway.post("/returns", body, key="ops"))
    assert conflict(await gateway.post("/returns", body, key=adas_key)) == names_of(opened)


@pytest.mark.parametrize(("role", "status"), [("client", 200), ("manager", 200), ("ops", 200), ("warehouse", 403)])
async def test_references_are_changed_by_clients_managers_and_ops(gateway: Gateway, role: str, status: int) -> None:
    opened = await open_return(gateway)
    response = await gateway.patch(f"/returns/{opened['id']}", {"metadata": METADATA}, key=role)
    assert response.status_code == status


async def test_another_customers_return_is_not_found(gateway: Gateway) -> None:
    opened, stranger = await open_return(gateway), await gateway.new_client(uuid4())
    for return_id in (opened["id"], uuid4()):
        response = await gateway.patch(f"/returns/{return_id}", {"metadata": METADATA}, key=stranger)
        assert response.status_code == 404
    assert (await gateway.get(f"/returns/{opened['id']}")).json() == opened


@pytest.mark.parametrize("metadata", [{"password": "x"}, {"a b": "x"}, {"a": ""}, {"a": "x\x00"}, {"a": 1}, []])
async def test_metadata_of_another_form_is_rejected(gateway: Gateway, metadata: Any) -> None:
    opened = await open_return(gateway)
    order_id = await deliver_order_event(gateway.pool, order_view_data())
    assert (await gateway.post("/returns", a_return(order_id, metadata=metadata))).status_code == 422
    assert (await gateway.patch(f"/returns/{opened['id']}", {"metadata": metadata})).status_code == 422


async def test_a_condition_that_names_an_old_version_changes_nothing(gateway: Gateway) -> None:
    opened = await open_return(gateway)
    response = await gateway.call(
        "PATCH", f"/returns/{opened['id']}", {"metadata": METADATA}, headers={"If-Match": '"7"'}
    )
    assert (response.status_code, response.json()["error"]["details"]) == (412, {"current_version": 1})
    assert (await gateway.get(f"/returns/{opened['id']}")).json() == opened
