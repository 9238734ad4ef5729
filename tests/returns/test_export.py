"""`GET /returns/export`: all returns that meet the conditions, resumable after each row."""

import csv
import io
import json

from returns.schemas import ReturnResponse
from support.example.ada import ADA
from support.example.returns import open_in, open_return, order_view_data
from support.gateway.application import Gateway

OTHER = "0b0b0b0b-0000-4000-8000-000000000002"


async def rows(gateway: Gateway, query: str = "", *, key: str = "ops") -> list[dict[str, object]]:
    response = await gateway.get(f"/returns/export{query}", key=key)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def test_an_export_has_the_returns_of_the_list_and_is_continued_after_any_row(fresh_gateway: Gateway) -> None:
    rejected = await open_in(fresh_gateway, "REJECTED")
    others = [await open_return(fresh_gateway) for _ in range(2)]
    exported = await rows(fresh_gateway)
    assert [{name: value for name, value in row.items() if name != "cursor"} for row in exported] == [rejected, *others]
    for number, row in enumerate(exported, 1):
        assert await rows(fresh_gateway, f"?cursor={row['cursor']}") == exported[number:]
    assert [row["id"] for row in await rows(fresh_gateway, "?status=REJECTED&fields=id")] == [rejected["id"]]
    response = await fresh_gateway.get("/returns/export?format=csv")
    header, *lines = csv.reader(io.StringIO(response.text, newline=""))
    assert (header, len(lines)) == ([*ReturnResponse.__annotations__, "cursor"], 3)


async def test_a_client_exports_only_its_own_returns(fresh_gateway: Gateway) -> None:
    own = await open_return(fresh_gateway)
    await open_in(fresh_gateway, "REQUESTED", order_view_data(customer_id=OTHER))
    ada = await fresh_gateway.new_client(ADA)
    assert [row["id"] for row in await rows(fresh_gateway, key=ada)] == [own["id"]]
