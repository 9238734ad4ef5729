"""`GET /orders?cursor=`: pages that stay exact while orders are placed and changed, and cursors that are rejected."""

import asyncio
import base64
import random
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from common.edge.requests.cursor import Cursors
from httpx import Response
from orders.app import SERVICE
from starlette.requests import Request
from support.example.orders import PATHS, place, place_in
from support.gateway.application import Gateway, serve
from support.postgres.databases import MakeDatabase


async def pages(gateway: Gateway, *, key: str = "ops", **query: object) -> list[Response]:
    """All pages, by the address in each `Link`."""
    address: str | None = f"/orders?{urlencode(query)}"
    responses = []
    while address is not None:
        responses.append(await gateway.get(address, key=key))
        assert responses[-1].status_code == 200, responses[-1].text
        address = next_address(responses[-1])
    return responses


def next_address(response: Response) -> str | None:
    link = response.headers.get("Link")
    if link is None:
        return None
    assert link.startswith("</api/v1/orders?")
    assert link.endswith('>; rel="next"')
    return str(link.removeprefix("</api/v1").removesuffix('>; rel="next"'))


def ids(responses: list[Response]) -> list[str]:
    return [order["id"] for response in responses for order in response.json()["data"]]


async def test_cursor_pages_have_every_order_once_in_order(gateway: Gateway) -> None:
    customer = str(uuid4())
    order_ids = [(await place(gateway, customer_id=customer))["id"] for _ in range(7)]
    responses = await pages(gateway, customer_id=customer, limit=3)
    assert ids(responses) == order_ids[::-1]
    paginations = [response.json()["pagination"] for response in responses]
    assert [each["offset"] for each in paginations] == [0, 3, 6]
    assert [each["total"] for each in paginations] == [7, 7, 7]
    assert [each["has_more"] for each in paginations] == [True, True, False]
    assert [each["limit"] for each in paginations] == [3, 3, 3]
    assert paginations[-1]["next_cursor"] is None


async def test_the_last_full_page_has_no_next_cursor(gateway: Gateway) -> None:
    customer = str(uuid4())
    for _ in range(4):
        await place(gateway, customer_id=customer)
    responses = await pages(gateway, customer_id=customer, limit=2)
    assert [len(response.json()["data"]) for response in responses] == [2, 2]


async def test_a_page_after_the_last_order_is_empty(gateway: Gateway) -> None:
    customer = str(uuid4())
    first, second = [await place(gateway, customer_id=customer) for _ in range(2)]
    page = (await gateway.get(f"/orders?customer_id={customer}&limit=1")).json()
    assert page["data"][0]["id"] == second["id"]
    async with gateway.pool.acquire() as connection:
        await connection.execute("UPDATE orders SET customer_id = $1 WHERE id = $2", uuid4(), first["id"])
    cursor = page["pagination"]["next_cursor"]
    empty = (await gateway.get(f"/orders?customer_id={customer}&limit=1&cursor={cursor}")).json()
    assert empty["data"] == []
    assert empty["pagination"] == {"limit": 1, "offset": 1, "total": 1, "has_more": False, "next_cursor": None}


@pytest.mark.parametrize("seed", range(3))
async def test_orders_that_exist_throughout_are_on_exactly_one_page_while_others_come_and_all_change(
    make_database: MakeDatabase, seed: int
) -> None:
    choose = random.Random(seed)  # noqa: S311 - no secret
    async with serve(SERVICE, make_database("orders")) as gateway:
        before = [(await place(gateway))["id"] for _ in range(choose.randint(5, 25))]
        done = asyncio.Event()

        async def place_others() -> None:
            while not done.is_set():
                await place(gateway)

        async def change() -> None:
            for order_id in choose.sample(before, len(before)):
                for step in PATHS[choose.choice(["PAID", "CANCELLED", "SHIPPED"])]:
                    await gateway.patch(f"/orders/{order_id}/state", step)

        async def read() -> list[list[str]]:
            limits = [choose.randint(1, 7) for _ in range(3)]
            listings = [ids(await pages(gateway, limit=limit)) for limit in limits]
            done.set()
            return listings

        _, _, listings = await asyncio.gather(place_others(), change(), read())
        for listing in listings:
            assert len(listing) == len(set(listing))
            assert [each for each in listing if each in set(before)] == before[::-1]


async def test_a_cursor_is_valid_for_its_list_and_caller_only(gateway: Gateway) -> None:
    customer, other = uuid4(), uuid4()
    for each in (customer, other):
        for _ in range(2):
            await place_in(gateway, "PAID", customer_id=str(each))
    key, other_key = await gateway.new_client(customer), await gateway.new_client(other)
    page = (await gateway.get("/orders?limit=1&status=PAID", key=key)).json()
    cursor = page["pagination"]["next_cursor"]
    again = await gateway.get(f"/orders?limit=5&cursor={cursor}&status=PAID", key=key)
    assert (again.status_code, len(again.json()["data"])) == (200, 1)
    for query, caller in (
        ("limit=1", key),
        ("limit=1&status=SHIPPED", key),
        ("limit=1&status=PAID&created_from=2026-01-01", key),
        ("limit=1&status=PAID", other_key),
        ("limit=1&status=PAID", "ops"),
    ):
        await expect_rejected(gateway, f"/orders?{query}&cursor={cursor}", caller)
    order_id = page["data"][0]["id"]
    await expect_rejected(gateway, f"/orders/{order_id}/history?limit=1&cursor={cursor}", key)


async def test_an_altered_cursor_is_rejected(gateway: Gateway) -> None:
    customer = str(uuid4())
    for _ in range(2):
        await place(gateway, customer_id=customer)
    page = (await gateway.get(f"/orders?limit=1&customer_id={customer}")).json()
    cursor: str = page["pagination"]["next_cursor"]
    data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    altered = [data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] for place in range(len(data))]
    for each in [*altered, data[:-1], data + b"\0", data[:16], b""]:
        text = base64.urlsafe_b64encode(each).decode().rstrip("=") or "A"
        await expect_rejected(gateway, f"/orders?limit=1&customer_id={customer}&cursor={text}")
    for text in ("x", "%C3%A9", "=", "*", "A" * 500, "A" * 501):
        await expect_rejected(gateway, f"/orders?limit=1&customer_id={customer}&cursor={text}")


async def test_a_cursor_is_not_combined_with_an_offset(gateway: Gateway) -> None:
    response = await gateway.get("/orders?offset=1&cursor=AAAA")
    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"] == "offset"


async def test_an_empty_cursor_is_the_first_page(gateway: Gateway) -> None:
    order = await place(gateway, customer_id=str(uuid4()))
    page = (await gateway.get(f"/orders?cursor=&customer_id={order['customer_id']}")).json()
    assert page["data"] == [order]


async def test_without_a_signing_key_cursors_work_and_accidental_changes_are_found(make_database: MakeDatabase) -> None:
    async with serve(SERVICE, make_database("orders"), link_signing_key="") as gateway:
        order_ids = [(await place(gateway))["id"] for _ in range(3)]
        responses = await pages(gateway, limit=1)
        assert ids(responses) == order_ids[::-1]
        cursor = responses[0].json()["pagination"]["next_cursor"]
        await expect_rejected(gateway, f"/orders?cursor={cursor[:-2]}")


@pytest.mark.parametrize("path", ["/orders", "/orders/export", "/orders?sort=total_amount", "/audit"])
@pytest.mark.parametrize("value", ["x", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "9e29", "1e-29"])
async def test_a_forged_position_is_rejected_or_an_empty_page(gateway: Gateway, path: str, value: str) -> None:
    """Without a signing key, anybody can make cursors."""
    name, _, query = f"/api/v1{path}".partition("?")
    scope = {"type": "http", "app": gateway.app, "path": name, "query_string": query.encode(), "headers": []}
    cursor = Cursors(Request(scope)).issue(0, (value, str(uuid4())))
    response = await gateway.get(f"{path}{'&' if query else '?'}cursor={cursor}")
    assert response.status_code == (200 if query and "e" in value else 422), response.text


async def test_a_history_is_paged_by_cursor(gateway: Gateway) -> None:
    order = await place_in(gateway, "DELIVERED")
    path = f"/orders/{order['id']}/history?include=all&limit=2"
    states: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page: dict[str, Any] = (await gateway.get(f"{path}&cursor={cursor}")).json()
        states += [record["new_state"] for record in page["data"]]
        cursor = page["pagination"]["next_cursor"]
    assert states == ["PENDING_PAYMENT", "PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED", "DELIVERED"]


async def expect_rejected(gateway: Gateway, address: str, key: str = "ops") -> None:
    response = await gateway.get(address, key=key)
    assert response.status_code == 422, (address, response.text)
    details = response.json()["error"]["details"]
    assert details["field"] == "cursor", details
