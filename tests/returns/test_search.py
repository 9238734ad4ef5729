"""`GET /returns` by words, amounts, several statuses and sorts, with cursors and selected fields."""

from typing import Any
from urllib.parse import urlencode

from support.example.returns import open_in, order_view_data
from support.gateway.application import Gateway


async def found(gateway: Gateway, **query: object) -> list[str]:
    """The ids of all pages; each total is their number."""
    ids: list[str] = []
    totals, cursor = set[int](), ""
    while cursor is not None:
        response = await gateway.get(f"/returns?limit=1&cursor={cursor}&{urlencode(query)}")
        assert response.status_code == 200, response.text
        page = response.json()
        ids += [each["id"] for each in page["data"]]
        totals.add(page["pagination"]["total"])
        cursor = page["pagination"]["next_cursor"]
    assert totals == {len(ids)}
    return ids


async def open_with(gateway: Gateway, state: str, **order: Any) -> str:
    return str((await open_in(gateway, state, order_view_data(**order)))["id"])


async def test_returns_are_found_by_words_amounts_and_statuses_in_every_order(fresh_gateway: Gateway) -> None:
    grace = await open_with(
        fresh_gateway, "REQUESTED", customer_name="Grace Hopper", customer_email="grace@ships.example",
        order_number="ORD-2026-000777", total_amount="20.00", captured_amount="20.00",
    )  # fmt: skip
    ada = await open_with(fresh_gateway, "REJECTED", total_amount="5.00", captured_amount="5.00")
    mary = await open_with(fresh_gateway, "APPROVED", customer_name=None, customer_email=None)
    for words in ("hop gra", "GRACE@", "ord-2026-000777", "000777 hopper"):
        assert await found(fresh_gateway, q=words) == [grace], words
    assert await found(fresh_gateway, q="opper") == []
    assert await found(fresh_gateway, refund_from=5, refund_to=20) == [ada, grace]
    assert await found(fresh_gateway, refund_from="5.01", refund_to="20.00") == [grace]
    assert await found(fresh_gateway, refund_from="5.00001", refund_to="19.99999") == []
    assert await found(fresh_gateway, refund_from="9" * 15 + "." + "9" * 15) == []
    assert await found(fresh_gateway, status="REQUESTED,APPROVED") == [mary, grace]
    assert await found(fresh_gateway, sort="refund_amount") == [ada, grace, mary]
    assert await found(fresh_gateway, sort="-refund_amount") == [mary, grace, ada]
    assert await found(fresh_gateway, sort="updated_at") == [grace, ada, mary]
    assert await found(fresh_gateway, sort="created_at", status="REJECTED,REQUESTED") == [grace, ada]
    page = (await fresh_gateway.get("/returns?fields=id,status&sort=created_at&limit=1")).json()
    assert page["data"] == [{"id": grace, "status": "REQUESTED"}]
