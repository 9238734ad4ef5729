"""`POST /orders/bulk-state`: one transaction and one result per order, once per `Idempotency-Key` (ADR 26)."""

import asyncio
import json
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx
import pytest
from common.edge.commands.bulk import TRANSACTIONS_AT_ONCE
from orders.app import SERVICE
from support.example.ada import ADA
from support.example.orders import an_order_id, place, place_in
from support.gateway.application import Gateway, serve
from support.postgres.audit_and_events import audit_and_events
from support.postgres.databases import MakeDatabase
from support.postgres.slow_commits import break_a_commit, quick_commits, slow_commits

PROCESS = {"new_state": "PROCESSING_IN_WAREHOUSE"}
CANCEL = {"new_state": "CANCELLED", "reason": "out of clay"}


async def paid(gateway: Gateway, number: int, **changes: Any) -> list[str]:
    return [(await place_in(gateway, "PAID", **changes))["id"] for _ in range(number)]


async def bulk(gateway: Gateway, body: dict[str, Any], *, key: str = "ops", idempotency: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": idempotency} if idempotency else {}
    return await gateway.call("POST", "/orders/bulk-state", body, key=key, headers=headers)


def outcomes(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [each["outcome"] for each in response.json()["data"]]


async def test_each_order_is_changed_as_by_its_own_request(gateway: Gateway) -> None:
    order_ids = await paid(gateway, 5)
    response = await bulk(gateway, {"order_ids": order_ids, "change": PROCESS}, key="warehouse")
    assert outcomes(response) == ["changed"] * 5
    body = response.json()
    assert [each["order_id"] for each in body["data"]] == order_ids
    assert {each["status"] for each in body["data"]} == {"PROCESSING_IN_WAREHOUSE"}
    assert (body["matched"], body["selection"]) == (5, None)
    assert body["summary"] == {"changed": 5, "unchanged": 0, "refused": 0, "selected": 0}
    for each in body["data"]:
        order = (await gateway.get(f"/orders/{each['order_id']}")).json()
        assert (order["status"], order["version"]) == (each["status"], each["version"])
        rows = await audit_and_events(gateway.pool, "ORDER", each["order_id"])
        assert rows.transitions[-1] == ("PAID", "PROCESSING_IN_WAREHOUSE", "ACCEPTED")
        assert [event for event, _ in rows.events] == ["order.created", "order.paid", "order.processing"]


async def test_orders_are_refused_one_by_one_with_the_error_of_the_single_route(gateway: Gateway) -> None:
    [good] = await paid(gateway, 1)
    pending, missing = (await place(gateway))["id"], an_order_id()
    response = await bulk(gateway, {"order_ids": [pending, missing, good], "change": PROCESS})
    assert outcomes(response) == ["refused", "refused", "changed"]
    refused, not_found, _ = response.json()["data"]
    single = await gateway.patch(f"/orders/{pending}/state", PROCESS)
    assert refused["error"] == single.json()["error"]
    assert not_found["error"]["code"] == "NOT_FOUND"
    assert (refused["status"], refused["version"]) == (None, None)
    rows = await audit_and_events(gateway.pool, "ORDER", pending)
    assert [outcome for _, _, outcome in rows.transitions] == ["ACCEPTED", "REFUSED", "REFUSED"]


async def test_a_payment_that_is_reported_again_leaves_its_order_unchanged(gateway: Gateway) -> None:
    new, known = (await place(gateway))["id"], (await place(gateway))["id"]
    change = {"new_state": "PAID", "payment_transaction_id": f"ch_{uuid4()}"}
    assert outcomes(await bulk(gateway, {"order_ids": [known], "change": change}, key="payments")) == ["changed"]
    response = await bulk(gateway, {"order_ids": [new, known], "change": change}, key="payments")
    assert outcomes(response) == ["changed", "unchanged"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"change": PROCESS}, "order_ids"),
        ({"order_ids": [], "change": PROCESS}, "order_ids"),
        ({"order_ids": [str(ADA)] * 2, "change": PROCESS}, "order_ids"),
        ({"order_ids": [str(uuid4()) for _ in range(501)], "change": PROCESS}, "order_ids"),
        ({"order_ids": [str(ADA)], "selection": "x", "change": PROCESS}, "order_ids"),
        ({"order_ids": [str(ADA)], "dry_run": True, "change": PROCESS}, "dry_run"),
        ({"filter": {"status": "PAID"}, "change": PROCESS}, "dry_run"),
        ({"filter": {"status": "PAID"}, "dry_run": "true", "change": PROCESS}, "dry_run"),
        ({"filter": {}, "dry_run": True, "change": PROCESS}, "filter"),
        ({"filter": {"colour": "celadon"}, "dry_run": True, "change": PROCESS}, "filter.colour"),
        ({"filter": {"created_to": 1796032800}, "dry_run": True, "change": PROCESS}, "filter.created_to"),
        ({"order_ids": [str(ADA)], "change": {"new_state": "CANCELLED"}}, "change.reason"),
        ({"order_ids": [str(ADA)]}, "change"),
        ({"selection": "unknown", "change": PROCESS}, "selection"),
    ],
)
async def test_a_request_that_names_no_orders_or_no_change_is_rejected(
    gateway: Gateway, body: dict[str, Any], field: str
) -> None:
    response = await bulk(gateway, body)
    assert (response.status_code, response.json()["error"]["details"]["field"]) == (422, field)


async def test_a_role_that_may_not_request_the_state_is_refused_as_a_whole(gateway: Gateway) -> None:
    order_ids = await paid(gateway, 2)
    for role in ("client", "payments"):
        response = await bulk(gateway, {"order_ids": order_ids, "change": PROCESS}, key=role)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_bound_client_changes_and_selects_only_its_own_orders(gateway: Gateway) -> None:
    customer = uuid4()
    key = await gateway.new_client(customer)
    [own], [foreign] = await paid(gateway, 1, customer_id=str(customer)), await paid(gateway, 1)
    response = await bulk(gateway, {"order_ids": [foreign, own], "change": CANCEL}, key=key)
    assert outcomes(response) == ["refused", "changed"]
    assert response.json()["data"][0]["error"]["code"] == "NOT_FOUND"
    dry_run = await bulk(gateway, {"filter": {"status": "CANCELLED"}, "dry_run": True, "change": CANCEL}, key=key)
    assert [each["order_id"] for each in dry_run.json()["data"]] == [own]
    other = {"filter": {"customer_id": str(ADA)}, "dry_run": True, "change": CANCEL}
    assert (await bulk(gateway, other, key=key)).json()["matched"] == 0


async def test_exactly_the_selected_orders_are_changed_unless_they_changed_since(gateway: Gateway) -> None:
    customer = {"customer_id": str(uuid4())}
    first, second, third = await paid(gateway, 3, **customer)
    dry = {"filter": {**customer, "status": "PAID"}, "dry_run": True, "change": CANCEL}
    selected = (await bulk(gateway, dry, key="manager")).json()
    assert (selected["matched"], [each["order_id"] for each in selected["data"]]) == (3, [first, second, third])
    assert selected["summary"]["selected"] == 3
    assert (await gateway.get(f"/orders/{first}")).json()["status"] == "PAID"
    [late] = await paid(gateway, 1, **customer)
    await gateway.patch(f"/orders/{second}", {"metadata": {"shelf": "B 7"}})
    body = {"selection": selected["selection"], "change": CANCEL}
    response = await bulk(gateway, body, key="manager")
    assert outcomes(response) == ["changed", "refused", "changed"]
    assert response.json()["data"][1]["error"]["code"] == "PRECONDITION_FAILED"
    assert (await gateway.get(f"/orders/{late}")).json()["status"] == "PAID"
    other_change = await bulk(gateway, {**body, "change": {**CANCEL, "reason": "another"}}, key="manager")
    assert other_change.json()["error"]["details"]["field"] == "selection"
    other_caller = await bulk(gateway, body, key="ops")
    assert other_caller.json()["error"]["details"]["field"] == "selection"


async def test_a_filter_selects_the_oldest_five_hundred(fresh_gateway: Gateway) -> None:
    order = await place(fresh_gateway)
    await fresh_gateway.pool.execute(
        "INSERT INTO orders SELECT (jsonb_populate_record(orders, jsonb_build_object('id', uuidv7(), 'order_number',"
        " 'N-' || number, 'created_at', created_at + number * interval '1 second'))).*"
        " FROM orders, generate_series(1, 600) AS number"
    )
    await fresh_gateway.pool.execute(
        "INSERT INTO order_lines SELECT (jsonb_populate_record(line, jsonb_build_object('order_id', orders.id))).*"
        " FROM orders, order_lines AS line WHERE order_number LIKE 'N-%'"
    )
    body = {"filter": {"status": "PENDING_PAYMENT"}, "dry_run": True, "change": CANCEL}
    selected = (await bulk(fresh_gateway, body)).json()
    assert (selected["matched"], len(selected["data"])) == (601, 500)
    assert selected["data"][0]["order_id"] == order["id"]
    body = {"selection": selected["selection"], "change": CANCEL}
    results = outcomes(await bulk(fresh_gateway, body, idempotency="all"))
    while "refused" in results:  # for want of time, on a busy machine: the repeat does the rest
        more_results = outcomes(await bulk(fresh_gateway, body, idempotency="all"))
        assert more_results.count("refused") < results.count("refused")
        results = more_results
    assert Counter(results) == {"changed": 500}
    status = "SELECT count(*) FROM orders WHERE status = 'CANCELLED'"
    assert await fresh_gateway.pool.fetchval(status) == 500


async def test_a_repeat_with_its_key_has_the_same_answer_and_no_second_effect(gateway: Gateway) -> None:
    [good], pending = await paid(gateway, 1), (await place(gateway))["id"]
    body, key = {"order_ids": [good, pending, an_order_id()], "change": PROCESS}, str(uuid4())
    first = await bulk(gateway, body, idempotency=key)
    assert outcomes(first) == ["changed", "refused", "refused"]
    before = await audit_and_events(gateway.pool, "ORDER", pending)
    again = await bulk(gateway, body, idempotency=key)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert await audit_and_events(gateway.pool, "ORDER", pending) == before
    other = await bulk(gateway, {**body, "order_ids": await paid(gateway, 1)}, idempotency=key)
    assert other.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_repeated_dry_run_with_its_key_has_the_same_selection(gateway: Gateway) -> None:
    customer, key = {"customer_id": str(uuid4())}, str(uuid4())
    await paid(gateway, 1, **customer)
    dry = {"filter": customer, "dry_run": True, "change": CANCEL}
    first = await bulk(gateway, dry, key="manager", idempotency=key)
    await paid(gateway, 1, **customer)
    again = await bulk(gateway, dry, key="manager", idempotency=key)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    change = {"selection": first.json()["selection"], "change": CANCEL}
    with_the_same_key = await bulk(gateway, change, key="manager", idempotency=key)
    assert with_the_same_key.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert outcomes(await bulk(gateway, change, key="manager", idempotency=str(uuid4()))) == ["changed"]


async def test_concurrent_requests_with_one_key_have_one_effect_per_order_and_equal_answers(gateway: Gateway) -> None:
    order_ids, key = await paid(gateway, 10), str(uuid4())
    body = {"order_ids": order_ids, "change": PROCESS}
    responses = await asyncio.gather(*(bulk(gateway, body, idempotency=key) for _ in range(12)))
    assert {response.status_code for response in responses} <= {200, 409, 503}
    again = await bulk(gateway, body, idempotency=key)
    assert outcomes(again) == ["changed"] * 10
    assert {response.content for response in responses if response.status_code == 200} <= {again.content}
    for order_id in order_ids:
        assert len((await audit_and_events(gateway.pool, "ORDER", order_id)).transitions) == 3


async def test_concurrent_requests_with_one_key_at_two_processes_share_the_refusals(
    make_database: MakeDatabase,
) -> None:
    database = make_database("orders")
    async with serve(SERVICE, database) as one, serve(SERVICE, database) as two:
        body, key = {"order_ids": [an_order_id() for _ in range(200)], "change": PROCESS}, str(uuid4())
        first = asyncio.create_task(bulk(one, body, idempotency=key))
        responses = [await bulk(two, body, idempotency=key), await first]
        while 409 in {response.status_code for response in responses}:  # the other one had just begun, or ended
            responses = [await bulk(two, body, idempotency=key)]
    assert [outcomes(each) for each in responses] == [["refused"] * 200] * len(responses)


async def test_an_order_that_is_locked_is_refused_for_now_and_changed_by_the_repeat(gateway: Gateway) -> None:
    [free, locked], key = await paid(gateway, 2), str(uuid4())
    body = {"order_ids": [locked, free], "change": PROCESS}
    async with gateway.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM orders WHERE id = $1 FOR UPDATE", locked)
        response = await bulk(gateway, body, idempotency=key)
    assert outcomes(response) == ["refused", "changed"]
    error = response.json()["data"][0]["error"]
    assert (error["code"], error["details"]) == ("UNAVAILABLE", {"outcome": "none"})
    repeat = await bulk(gateway, body, idempotency=key)
    assert outcomes(repeat) == ["changed", "changed"]
    assert repeat.json()["data"][1] == response.json()["data"][1]
    assert (await bulk(gateway, body, idempotency=key)).content == repeat.content


async def test_an_order_whose_commit_breaks_is_refused_with_an_unknown_outcome_and_has_its_result_in_the_repeat(
    make_database: MakeDatabase,
) -> None:
    database = make_database("orders")
    async with serve(SERVICE, database) as gateway:
        order_ids, key = await paid(gateway, 1), str(uuid4())
        body = {"order_ids": order_ids, "change": PROCESS}
        await slow_commits(database, 20, change="UPDATE")
        changing = asyncio.create_task(bulk(gateway, body, idempotency=key))
        await break_a_commit(database)
        response = await changing
        assert outcomes(response) == ["refused"]
        error = response.json()["data"][0]["error"]
        assert (error["code"], error["details"]) == ("UNAVAILABLE", {"outcome": "unknown"})
        assert "same Idempotency-Key" in error["message"]
        await quick_commits(database)
        assert outcomes(await bulk(gateway, body, idempotency=key)) == ["changed"]


async def test_an_order_for_which_there_is_no_time_left_is_unchanged(make_database: MakeDatabase) -> None:
    database = make_database("orders")
    async with serve(SERVICE, database, http_request_seconds=4) as gateway:
        order_ids = await paid(gateway, TRANSACTIONS_AT_ONCE + 1)
        await slow_commits(database, 3, change="UPDATE")
        response = await bulk(gateway, {"order_ids": order_ids, "change": PROCESS})
        assert outcomes(response) == ["changed"] * TRANSACTIONS_AT_ONCE + ["refused"]
        error = response.json()["data"][-1]["error"]
        assert (error["code"], error["details"]) == ("UNAVAILABLE", {"outcome": "none"})
        assert (await gateway.get(f"/orders/{order_ids[-1]}")).json()["status"] == "PAID"


async def test_while_many_orders_are_changed_single_requests_are_answered(gateway: Gateway) -> None:
    order_ids = await paid(gateway, 40)
    order = await place(gateway)
    running = asyncio.create_task(bulk(gateway, {"order_ids": order_ids, "change": PROCESS}))
    answered = 0
    while not running.done():
        assert (await gateway.get(f"/orders/{order['id']}")).status_code == 200
        answered += 1
    assert outcomes(await running) == ["changed"] * 40
    assert answered > 5


async def test_a_huge_request_is_rejected_without_validating_its_ids(gateway: Gateway) -> None:
    content = json.dumps({"order_ids": ["x"] * 200_000, "change": PROCESS})
    response = await gateway.call("POST", "/orders/bulk-state", content)
    assert (response.status_code, response.json()["error"]["details"]["error_count"]) == (422, 1)
