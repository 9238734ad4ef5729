"""References of clients to orders: an external id, unique for each client, and metadata (ADR 25)."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx
import pytest
from support.example.ada import ADA
from support.example.orders import an_order, an_order_id, created, place, place_in
from support.gateway.application import Gateway
from support.postgres.audit_and_events import audit_and_events, last_event

METADATA = {"channel": "spring fair", "gift.wrap": "yes, with “ribbon”"}


def an_external_id() -> str:
    return f"shop-{uuid4()}"


def conflict(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 409, response.text
    assert response.json()["error"]["code"] == "CONFLICT"
    details: dict[str, Any] = response.json()["error"]["details"]
    return details


def names_of(order: dict[str, Any]) -> dict[str, Any]:
    """The details of a conflict with this order."""
    return {"external_id": order["external_id"], "order_id": order["id"], "order_number": order["order_number"]}


async def full_history(gateway: Gateway, order: dict[str, Any]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = (await gateway.get(f"/orders/{order['id']}/history?include=all")).json()["data"]
    return records


async def test_references_are_in_the_response_in_later_reads_in_the_history_and_in_events(gateway: Gateway) -> None:
    external_id = an_external_id()
    order = await place(gateway, external_id=external_id, metadata=METADATA)
    assert (order["external_id"], order["metadata"]) == (external_id, METADATA)
    assert (await gateway.get(f"/orders/{order['id']}")).json() == order
    [record] = await full_history(gateway, order)
    assert (record["metadata"]["external_id"], record["metadata"]["metadata"]) == (external_id, METADATA)
    paid = (await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID"})).json()
    assert (paid["external_id"], paid["metadata"]) == (external_id, METADATA)
    event = await last_event(gateway.pool, order["id"])
    assert (event["external_id"], event["metadata"]) == (external_id, METADATA)


async def test_an_order_without_references_has_null_and_an_empty_object(gateway: Gateway) -> None:
    order = await place(gateway, external_id=None, metadata=None)
    assert (order["external_id"], order["metadata"]) == (None, {})
    event = await last_event(gateway.pool, order["id"])
    assert (event["external_id"], event["metadata"]) == (None, {})


async def test_changes_of_metadata_are_merged_and_null_deletes(gateway: Gateway) -> None:
    order = await place(gateway, metadata=METADATA)
    changes = {"channel": None, "shelf": "B 7", "never.set": None}
    changed = (await gateway.patch(f"/orders/{order['id']}", {"metadata": changes}, key="client")).json()
    assert changed["metadata"] == {"gift.wrap": METADATA["gift.wrap"], "shelf": "B 7"}
    assert changed["version"] == order["version"] + 1
    assert changed["updated_at"] > order["updated_at"]
    unchanged_members = order.keys() - {"metadata", "version", "updated_at"}
    assert {name: changed[name] for name in unchanged_members} == {name: order[name] for name in unchanged_members}
    assert (await gateway.get(f"/orders/{order['id']}")).json() == changed


@pytest.mark.parametrize("state", ["PENDING_PAYMENT", "SHIPPED", "DELIVERED", "CANCELLED"])
async def test_a_change_is_audited_but_no_transition_and_the_next_event_has_it(gateway: Gateway, state: str) -> None:
    order = await place_in(gateway, state)
    before = await audit_and_events(gateway.pool, "ORDER", order["id"])
    transitions = (await gateway.get(f"/orders/{order['id']}/history")).json()
    external_id = an_external_id()
    body = {"external_id": external_id, "metadata": {"shelf": "B 7", "old": None}}
    response = await gateway.patch(f"/orders/{order['id']}", body, key="manager")
    assert (response.status_code, response.json()["status"]) == (200, state)
    rows = (await audit_and_events(gateway.pool, "ORDER", order["id"])).since(before)
    assert (rows.transitions, rows.events) == ([(state, state, "ACCEPTED")], [])
    assert (await gateway.get(f"/orders/{order['id']}/history")).json() == transitions
    record = (await full_history(gateway, order))[-1]
    assert {name: record["metadata"][name] for name in body} == body
    assert (record["metadata"]["actor_name"], record["created_at"]) == ("manager", response.json()["updated_at"])


async def test_a_change_before_a_transition_is_in_the_event_of_the_transition(gateway: Gateway) -> None:
    order = await place(gateway)
    await gateway.patch(f"/orders/{order['id']}", {"metadata": METADATA})
    paid = (await gateway.patch(f"/orders/{order['id']}/state", {"new_state": "PAID"})).json()
    event = await last_event(gateway.pool, order["id"])
    assert (event["metadata"], event["version"]) == (METADATA, paid["version"])


@pytest.mark.parametrize("body", [{}, {"metadata": {}}, {"metadata": {"channel": "spring fair", "other": None}}])
async def test_a_request_that_changes_nothing_leaves_no_trace(gateway: Gateway, body: dict[str, Any]) -> None:
    external_id = an_external_id()
    order = await place(gateway, external_id=external_id, metadata=METADATA)
    before = await audit_and_events(gateway.pool, "ORDER", order["id"])
    response = await gateway.patch(f"/orders/{order['id']}", {**body, "external_id": external_id})
    assert (response.status_code, response.json()) == (200, order)
    assert await audit_and_events(gateway.pool, "ORDER", order["id"]) == before


async def test_an_external_id_can_be_set_once(gateway: Gateway) -> None:
    order, external_id = await place(gateway), an_external_id()
    first = await gateway.patch(f"/orders/{order['id']}", {"external_id": external_id})
    assert first.json()["external_id"] == external_id
    other = await gateway.patch(f"/orders/{order['id']}", {"external_id": an_external_id(), "metadata": METADATA})
    assert conflict(other) == names_of(first.json())
    removal = await gateway.patch(f"/orders/{order['id']}", {"external_id": None})
    assert (removal.status_code, removal.json()["error"]["details"]["field"]) == (422, "external_id")
    assert (await gateway.get(f"/orders/{order['id']}")).json() == first.json()


async def test_a_second_order_with_an_external_id_conflicts_with_the_first(gateway: Gateway) -> None:
    order = await place(gateway, external_id=an_external_id())
    assert conflict(await gateway.post("/orders", an_order(external_id=order["external_id"]))) == names_of(order)
    other_order = await place(gateway)
    response = await gateway.patch(f"/orders/{other_order['id']}", {"external_id": order["external_id"]})
    assert conflict(response) == names_of(order)
    assert (await gateway.get(f"/orders/{other_order['id']}")).json() == other_order


async def test_an_external_id_is_unique_for_each_customer_and_for_each_caller_who_acts_for_many(
    gateway: Gateway,
) -> None:
    external_id, other_customer = an_external_id(), uuid4()
    adas_key, adas_second_key = await gateway.new_client(ADA), await gateway.new_client(ADA)
    other_key = await gateway.new_client(other_customer)
    body = an_order(external_id=external_id)
    adas_order = created(await gateway.post("/orders", body, key=adas_key))
    created(await gateway.post("/orders", {**body, "customer_id": str(other_customer)}, key=other_key))
    created(await gateway.post("/orders", body, key="client"))
    assert "order_id" in conflict(await gateway.post("/orders", body, key="client"))
    for key in (adas_second_key, "ops"):
        assert conflict(await gateway.post("/orders", body, key=key)) == names_of(adas_order)


@pytest.mark.parametrize("role", ["manager", "ops"])
async def test_an_external_id_that_staff_sets_is_the_customers_own(gateway: Gateway, role: str) -> None:
    external_id, other_customer = an_external_id(), uuid4()
    adas_key, other_key = await gateway.new_client(ADA), await gateway.new_client(other_customer)
    order = await place(gateway)
    named = (await gateway.patch(f"/orders/{order['id']}", {"external_id": external_id}, key=role)).json()
    body = an_order(external_id=external_id)
    assert conflict(await gateway.post("/orders", body, key=adas_key)) == names_of(named)
    created(await gateway.post("/orders", {**body, "customer_id": str(other_customer)}, key=other_key))


async def test_an_order_that_staff_places_for_a_customer_has_the_external_id_of_the_customer(gateway: Gateway) -> None:
    body = an_order(external_id=an_external_id())
    order = created(await gateway.post("/orders", body, key="ops"))
    assert conflict(await gateway.post("/orders", body, key=await gateway.new_client(ADA))) == names_of(order)


async def test_staff_cannot_give_a_second_order_the_external_id_that_its_customer_has_used(gateway: Gateway) -> None:
    body = an_order(external_id=an_external_id())
    first = created(await gateway.post("/orders", body, key=await gateway.new_client(ADA)))
    second = await place(gateway)
    response = await gateway.patch(f"/orders/{second['id']}", {"external_id": first["external_id"]}, key="manager")
    assert conflict(response) == names_of(first)


async def test_of_fifty_concurrent_orders_with_one_external_id_one_is_placed_and_named_by_the_others(
    gateway: Gateway,
) -> None:
    external_id = an_external_id()
    requests = [gateway.post("/orders", an_order(external_id=external_id), key="client") for _ in range(50)]
    responses = await asyncio.gather(*requests)
    assert Counter(response.status_code for response in responses) == {201: 1, 409: 49}
    [order] = [response.json() for response in responses if response.status_code == 201]
    assert all(conflict(response) == names_of(order) for response in responses if response.status_code == 409)
    assert await gateway.pool.fetchval("SELECT count(*) FROM orders WHERE external_id = $1", external_id) == 1


async def test_of_twenty_orders_that_get_one_external_id_at_once_one_has_it(gateway: Gateway) -> None:
    external_id = an_external_id()
    orders = [await place(gateway) for _ in range(20)]
    requests = [gateway.patch(f"/orders/{order['id']}", {"external_id": external_id}) for order in orders]
    responses = await asyncio.gather(*requests)
    assert Counter(response.status_code for response in responses) == {200: 1, 409: 19}
    [order] = [response.json() for response in responses if response.status_code == 200]
    assert all(conflict(response) == names_of(order) for response in responses if response.status_code == 409)


async def test_concurrent_changes_of_metadata_are_all_kept(gateway: Gateway) -> None:
    order = await place(gateway)
    names = [f"name_{number}" for number in range(20)]
    await asyncio.gather(*(gateway.patch(f"/orders/{order['id']}", {"metadata": {name: "x"}}) for name in names))
    changed = (await gateway.get(f"/orders/{order['id']}")).json()
    assert (changed["metadata"], changed["version"]) == (dict.fromkeys(names, "x"), 21)
    assert len(await full_history(gateway, order)) == 21


async def test_with_an_idempotency_key_too_the_first_answer_is_repeated_and_not_called_a_conflict(
    gateway: Gateway,
) -> None:
    body, headers = an_order(external_id=an_external_id()), {"Idempotency-Key": str(uuid4())}
    responses = await asyncio.gather(*(gateway.call("POST", "/orders", body, headers=headers) for _ in range(20)))
    again = await gateway.call("POST", "/orders", body, headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true"
    for response in responses:
        if response.status_code == 201:
            assert response.content == again.content
        else:
            assert response.status_code == 409
            assert "Retry-After" in response.headers
    changes = {"metadata": {"shelf": "B 7"}}
    path = f"/orders/{again.json()['id']}"
    first, second = [await gateway.call("PATCH", path, changes, headers=headers) for _ in range(2)]
    assert (first.status_code, second.content) == (200, first.content)
    assert first.json()["version"] == 2


@pytest.mark.parametrize(("role", "status"), [("client", 200), ("manager", 200), ("ops", 200), ("warehouse", 403)])
async def test_references_are_changed_by_clients_managers_and_ops(gateway: Gateway, role: str, status: int) -> None:
    order = await place(gateway)
    response = await gateway.patch(f"/orders/{order['id']}", {"metadata": METADATA}, key=role)
    assert response.status_code == status


async def test_another_customers_order_is_not_found(gateway: Gateway) -> None:
    order, stranger = await place(gateway), await gateway.new_client(uuid4())
    for order_id in (order["id"], an_order_id()):
        response = await gateway.patch(f"/orders/{order_id}", {"metadata": METADATA}, key=stranger)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert (await gateway.get(f"/orders/{order['id']}")).json() == order


@pytest.mark.parametrize("name", ["password", "card-number", "CVV", "accessToken", "client.secret"])
async def test_a_name_of_a_secret_is_rejected_and_its_value_not_repeated(gateway: Gateway, name: str) -> None:
    order = await place(gateway)
    for response in (
        await gateway.post("/orders", an_order(metadata={name: "4111111111111111"})),
        await gateway.patch(f"/orders/{order['id']}", {"metadata": {name: "4111111111111111"}}),
    ):
        assert response.status_code == 422
        assert "secret" in response.json()["error"]["details"]["issue"]
        assert response.json()["error"]["details"]["field"] == f"metadata.{name}.[key]"
        assert "4111" not in response.text


@pytest.mark.parametrize(
    "metadata",
    [
        *({"": "x"}, {"a b": "x"}, {"é": "x"}, {"a/b": "x"}, {"x" * 41: "x"}, {"a\n": "x"}, {"$ref": "x"}),
        *({"a": ""}, {"a": " "}, {"a": "\u200b"}, {"a": "x" * 501}, {"a": 1}, {"a": True}, {"a": ["x"]}),
        *({"a": {"b": "x"}}, {"a": "x\ny"}, {"a": "x\x1b[31m"}, [], "x", 7, {str(number): "x" for number in range(51)}),
    ],
    ids=lambda value: ascii(value)[:30],
)
async def test_metadata_of_another_form_is_rejected(gateway: Gateway, metadata: Any) -> None:
    response = await gateway.post("/orders", an_order(metadata=metadata))
    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"].startswith("metadata")
    if response.json()["error"]["details"]["issue"] != "must have at most 50 names":  # a change may have a hundred
        assert (await gateway.patch(f"/orders/{an_order_id()}", {"metadata": metadata})).status_code == 422


async def test_metadata_within_its_limits_is_accepted_and_cannot_grow_beyond_them(gateway: Gateway) -> None:
    metadata = {f"{number:02d}" + "n" * 38: "🍵" * 500 for number in range(50)}
    order = await place(gateway, metadata=metadata)
    assert order["metadata"] == metadata
    more = await gateway.patch(f"/orders/{order['id']}", {"metadata": {"one.more": "x"}})
    assert (more.status_code, more.json()["error"]["details"]["field"]) == (422, "metadata")
    others = {**dict.fromkeys(metadata, None), **{f"other_{number}": "x" for number in range(50)}}
    changed = await gateway.patch(f"/orders/{order['id']}", {"metadata": others})
    assert changed.json()["metadata"] == {f"other_{number}": "x" for number in range(50)}


async def test_a_megabyte_of_names_is_one_problem_of_a_small_answer(gateway: Gateway) -> None:
    response = await gateway.post("/orders", an_order(metadata={f"n {number}": 1 for number in range(60_000)}))
    assert (response.status_code, response.json()["error"]["details"]["error_count"]) == (422, 1)
    assert len(response.content) < 2_000


async def test_pages_of_orders_with_much_metadata_are_shorter_and_have_no_gaps(fresh_gateway: Gateway) -> None:
    metadata = {f"name_{number}": "🍵" * 500 for number in range(50)}
    order_ids = [(await place(fresh_gateway, metadata=metadata))["id"] for _ in range(25)]
    first = (await fresh_gateway.get("/orders?limit=100")).json()
    assert len(first["data"]) == 19  # of 101 lines each, one of them a line of the order
    rest = (await fresh_gateway.get("/orders?limit=100&offset=19")).json()
    assert [order["id"] for order in first["data"] + rest["data"]] == order_ids[::-1]
