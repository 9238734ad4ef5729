"""`GET /returns`: filters, pages, exact totals, and the counts of the metrics."""

import asyncio
from typing import Any

import pytest
from common.database.transactions import transaction
from returns.tables import return_counts
from support.example.ada import ADA
from support.example.returns import open_in, open_return, order_view_data
from support.gateway.application import Gateway

OTHER = "0b0b0b0b-0000-4000-8000-000000000002"


async def list_returns(gateway: Gateway, query: str = "", *, key: str = "ops") -> tuple[list[str], dict[str, Any]]:
    response = await gateway.get(f"/returns{query}", key=key)
    assert response.status_code == 200, response.text
    return [each["id"] for each in response.json()["data"]], response.json()["pagination"]


async def test_returns_are_listed_newest_first_and_pages_have_no_gaps(fresh_gateway: Gateway) -> None:
    ids = [(await open_return(fresh_gateway))["id"] for _ in range(5)]
    newest_first = ids[::-1]
    first, pagination = await list_returns(fresh_gateway, "?limit=2")
    assert pagination.pop("next_cursor")
    assert (first, pagination) == (newest_first[:2], {"limit": 2, "offset": 0, "total": 5, "has_more": True})
    last, pagination = await list_returns(fresh_gateway, "?limit=2&offset=4")
    assert (last, pagination) == (
        newest_first[4:],
        {"limit": 2, "offset": 4, "total": 5, "has_more": False, "next_cursor": None},
    )
    beyond, pagination = await list_returns(fresh_gateway, "?offset=100")
    assert (beyond, pagination["total"], pagination["limit"]) == ([], 5, 20)


async def test_a_listed_return_equals_the_return_read_by_id(fresh_gateway: Gateway) -> None:
    rejected_return = await open_in(fresh_gateway, "REJECTED")
    assert (await fresh_gateway.get("/returns")).json()["data"] == [rejected_return]


async def test_filters_apply_alone_and_combined(fresh_gateway: Gateway) -> None:
    requested, approved, other = [
        await open_in(fresh_gateway, state, order_data)
        for state, order_data in (
            ("REQUESTED", None),
            ("APPROVED", None),
            ("REQUESTED", order_view_data(customer_id=OTHER)),
        )
    ]
    ids = {"requested": requested["id"], "approved": approved["id"], "other": other["id"]}

    async def matches(query: str, key: str = "ops") -> set[str]:
        page, pagination = await list_returns(fresh_gateway, query, key=key)
        assert pagination["total"] == len(page)
        return {name for name, return_id in ids.items() if return_id in page}

    assert await matches("?status=REQUESTED") == {"requested", "other"}
    assert await matches("?status=COMPLETED") == set()
    assert await matches(f"?order_id={approved['order_id']}") == {"approved"}
    assert await matches(f"?order_id={approved['order_id']}&status=REQUESTED") == set()
    since = approved["created_at"]
    assert await matches(f"?created_from={since}") == {"approved", "other"}
    assert await matches(f"?created_to={since}") == {"requested", "approved"}
    assert await matches(f"?created_from={since}&created_to={since}") == {"approved"}
    ada = await fresh_gateway.new_client(ADA)
    assert await matches("", ada) == {"requested", "approved"}
    assert await matches("?status=REQUESTED", ada) == {"requested"}
    assert await matches(f"?order_id={other['order_id']}", ada) == set()


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "offset=-1", "offset=99999999999", "status=LOST", "order_id=42", "created_from=yesterday"],
)
async def test_an_invalid_query_is_rejected(gateway: Gateway, query: str) -> None:
    response = await gateway.get(f"/returns?{query}")
    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"] == query.partition("=")[0]


async def test_totals_are_exact_before_while_and_after_counts_are_folded(fresh_gateway: Gateway) -> None:
    async def check() -> None:
        assert (await list_returns(fresh_gateway))[1]["total"] == 3
        assert (await list_returns(fresh_gateway, "?status=REQUESTED"))[1]["total"] == 1
        assert (await list_returns(fresh_gateway, "?status=REJECTED"))[1]["total"] == 1
        metrics = (await fresh_gateway.get("/metrics")).json()
        assert metrics["returns"] == {
            "total": 3,
            "by_status": {"REQUESTED": 1, "APPROVED": 0, "REJECTED": 1, "IN_TRANSIT": 1, "RECEIVED": 0, "COMPLETED": 0},
        }
        assert set(metrics["performance"]) == {"avg_response_time_ms", "p95_response_time_ms"}

    for state in ("REQUESTED", "REJECTED", "IN_TRANSIT"):
        await open_in(fresh_gateway, state)
    await check()
    fold_sizes = []
    while True:
        async with transaction(fresh_gateway.pool) as connection:
            fold_sizes.append(await return_counts.fold(connection, limit=3))
        await check()
        if fold_sizes[-1] == 0:
            break
    assert len(fold_sizes) > 2
    assert await fresh_gateway.pool.fetchval("SELECT count(*) FROM return_count_changes") == 0


async def test_totals_stay_exact_while_counts_are_folded_and_written_concurrently(fresh_gateway: Gateway) -> None:
    async def fold() -> None:
        for _ in range(20):
            async with transaction(fresh_gateway.pool) as connection:
                await return_counts.fold(connection, limit=5)

    await asyncio.gather(*(open_in(fresh_gateway, "APPROVED") for _ in range(20)), fold(), fold())
    assert (await list_returns(fresh_gateway))[1]["total"] == 20
    assert (await list_returns(fresh_gateway, "?status=APPROVED"))[1]["total"] == 20
