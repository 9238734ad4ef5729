"""`GET /orders`: newest first, filtered, paged, with exact totals, and the counts of the metrics."""

import asyncio
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from common.database.transactions import transaction
from orders.tables import order_counts
from support.example.orders import place, place_in
from support.gateway.application import Gateway


async def list_orders(gateway: Gateway, **query: object) -> dict[str, Any]:
    response = await gateway.get(f"/orders?{urlencode(query)}")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def ids(listing: dict[str, Any]) -> list[str]:
    return [order["id"] for order in listing["data"]]


async def test_orders_are_listed_newest_first_and_pages_have_no_gaps(gateway: Gateway) -> None:
    customer = str(uuid4())
    order_ids = [(await place(gateway, customer_id=customer))["id"] for _ in range(5)]
    whole = await list_orders(gateway, customer_id=customer)
    assert ids(whole) == order_ids[::-1]
    assert whole["pagination"] == {"limit": 20, "offset": 0, "total": 5, "has_more": False, "next_cursor": None}
    pages = [await list_orders(gateway, customer_id=customer, limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [each for page in pages for each in ids(page)] == order_ids[::-1]
    assert [page["pagination"]["has_more"] for page in pages] == [True, True, False]
    beyond = await list_orders(gateway, customer_id=customer, offset=5)
    assert (beyond["data"], beyond["pagination"]["total"]) == ([], 5)


async def test_a_listed_order_equals_the_order_read_by_id(gateway: Gateway) -> None:
    order = await place_in(gateway, "SHIPPED", customer_id=str(uuid4()))
    assert (await list_orders(gateway, customer_id=order["customer_id"]))["data"] == [order]


async def test_filters_are_combined(gateway: Gateway) -> None:
    customer = str(uuid4())
    pending = await place(gateway, customer_id=customer)
    paid = await place_in(gateway, "PAID", customer_id=customer)
    await place_in(gateway, "PAID")
    assert ids(await list_orders(gateway, customer_id=customer, status="PAID")) == [paid["id"]]
    assert ids(await list_orders(gateway, customer_id=customer, status="PENDING_PAYMENT")) == [pending["id"]]
    nothing = await list_orders(gateway, customer_id=customer, status="SHIPPED")
    assert (nothing["data"], nothing["pagination"]["total"]) == ([], 0)


async def test_both_bounds_of_the_creation_time_are_inclusive(gateway: Gateway) -> None:
    customer = str(uuid4())
    orders = [await place(gateway, customer_id=customer) for _ in range(3)]
    first, middle, last = (order["created_at"] for order in orders)
    between = await list_orders(gateway, customer_id=customer, created_from=middle, created_to=last)
    assert ids(between) == [orders[2]["id"], orders[1]["id"]]
    until = await list_orders(gateway, customer_id=customer, created_from=first, created_to=first)
    assert ids(until) == [orders[0]["id"]]
    without_zone = await list_orders(gateway, customer_id=customer, created_from=middle.removesuffix("Z"))
    assert without_zone["pagination"]["total"] == 2
    elsewhere = await list_orders(gateway, customer_id=customer, created_from="2100-01-01T00:00:00+14:00")
    assert elsewhere["pagination"]["total"] == 0


async def test_totals_stay_exact_while_counts_are_folded(fresh_gateway: Gateway) -> None:
    async def place_orders() -> None:
        for state in ("PAID", "SHIPPED", "CANCELLED"):
            await place_in(fresh_gateway, state)

    async def fold() -> None:
        for _ in range(20):
            async with transaction(fresh_gateway.pool) as connection:
                await order_counts.fold(connection, limit=2)

    async def watch() -> list[int]:
        return [(await list_orders(fresh_gateway))["pagination"]["total"] for _ in range(20)]

    *_, totals = await asyncio.gather(place_orders(), place_orders(), fold(), fold(), watch())
    assert all(earlier <= later for earlier, later in pairwise(totals))
    for _ in range(2):
        assert (await list_orders(fresh_gateway))["pagination"]["total"] == 6
        assert (await list_orders(fresh_gateway, status="PAID"))["pagination"]["total"] == 2
        assert (await list_orders(fresh_gateway, status="PENDING_PAYMENT"))["pagination"]["total"] == 0
        async with transaction(fresh_gateway.pool) as connection:
            await order_counts.fold(connection)
    assert await fresh_gateway.pool.fetchval("SELECT count(*) FROM order_count_changes") == 0


async def test_without_orders_the_list_is_empty(fresh_gateway: Gateway) -> None:
    assert await list_orders(fresh_gateway) == {
        "data": [],
        "pagination": {"limit": 20, "offset": 0, "total": 0, "has_more": False, "next_cursor": None},
    }


async def test_the_metrics_count_orders_by_state(fresh_gateway: Gateway) -> None:
    for state in ("PAID", "PAID", "CANCELLED"):
        await place_in(fresh_gateway, state)
    metrics = (await fresh_gateway.get("/metrics")).json()
    assert metrics["orders"] == {
        "total": 3,
        "by_status": {
            "PENDING_PAYMENT": 0,
            "PAID": 2,
            "PROCESSING_IN_WAREHOUSE": 0,
            "SHIPPED": 0,
            "DELIVERED": 0,
            "CANCELLED": 1,
        },
    }
    assert metrics["performance"]["p95_response_time_ms"] > 0


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("WHERE customer_id = '0ada0ada-0000-4000-8000-000000000001'", "ix_orders_customer_id_newest"),
        ("WHERE status = 'PAID'", "ix_orders_status_newest"),
        ("", "ix_orders_newest"),
        ("WHERE created_at >= now() - interval '1 day'", "ix_orders_newest"),
    ],
)
async def test_each_filter_has_an_index_in_the_order_of_the_list(
    fresh_gateway: Gateway, query: str, index: str
) -> None:
    async with transaction(fresh_gateway.pool) as connection:
        await connection.execute("SET LOCAL enable_sort = off")
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(
            f"EXPLAIN SELECT * FROM orders {query} ORDER BY created_at DESC, id DESC LIMIT 20"  # noqa: S608
        )
    assert any(f"using {index} " in line[0] and "Sort" not in line[0] for line in plan)
