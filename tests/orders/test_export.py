"""`GET /orders/export`: NDJSON and CSV of all orders that meet the conditions, resumable after each row."""

import asyncio
import csv
import io
import json
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import asyncpg
import pytest
from common.edge.admission.request_slots import RequestSlots
from common.edge.commands import export
from httpx import Response
from orders.app import SERVICE
from orders.schemas.responses import OrderResponse
from starlette.types import Message
from support.example.orders import place, place_in
from support.gateway.application import Gateway, serve
from support.postgres.databases import MakeDatabase


async def exported(gateway: Gateway, *, key: str = "ops", **query: object) -> Response:
    response = await gateway.get(f"/orders/export?{urlencode(query)}", key=key)
    assert response.status_code == 200, response.text
    return response


def rows_of(response: Response) -> list[dict[str, Any]]:
    assert response.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


async def test_an_export_has_every_order_as_it_is_read_by_id_oldest_first(fresh_gateway: Gateway) -> None:
    orders = [await place(fresh_gateway) for _ in range(3)] + [await place_in(fresh_gateway, "SHIPPED")]
    rows = rows_of(await exported(fresh_gateway))
    assert [{name: value for name, value in row.items() if name != "cursor"} for row in rows] == orders


async def test_an_export_is_continued_after_any_row(fresh_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 2)
    order_ids = [(await place(fresh_gateway))["id"] for _ in range(5)]
    rows = rows_of(await exported(fresh_gateway))
    assert [row["id"] for row in rows] == order_ids
    for number, row in enumerate(rows, 1):
        rest = await exported(fresh_gateway, cursor=row["cursor"])
        assert rows_of(rest) == rows[number:]
    new = await place(fresh_gateway)
    assert [row["id"] for row in rows_of(await exported(fresh_gateway, cursor=rows[-1]["cursor"]))] == [new["id"]]


# Counts its calls, and is then as the function was.
COUNTED = """
    ALTER FUNCTION rarest_search_word RENAME TO uncounted_word;
    CREATE SEQUENCE calls;
    GRANT USAGE ON SEQUENCE calls TO PUBLIC;
    CREATE FUNCTION rarest_search_word(input TEXT, searched TEXT) RETURNS TSQUERY LANGUAGE plpgsql STABLE AS $$
    BEGIN
        PERFORM nextval('calls');
        RETURN uncounted_word(input, searched);
    END $$
"""


@pytest.mark.parametrize("query", [{"q": "ada hopper"}, {"customer_email": "ada@ships.example"}])
async def test_an_export_by_words_finds_the_rarest_word_once_per_statement(
    make_database: MakeDatabase, query: dict[str, str]
) -> None:
    database = make_database("orders")
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        async with serve(SERVICE, database) as gateway:
            found = {"customer_name": "Ada Hopper", "customer_email": "ada@ships.example"}
            order_ids = [(await place(gateway, **found))["id"] for _ in range(10)]
            await place(gateway)
            await owner.execute(COUNTED)
            rows = rows_of(await exported(gateway, **query))
            assert [row["id"] for row in rows] == order_ids
            assert await owner.fetchval("SELECT last_value FROM calls WHERE is_called") == 1
    finally:
        await owner.close()


async def test_an_export_has_the_conditions_and_fields_of_the_list(fresh_gateway: Gateway) -> None:
    paid = [(await place_in(fresh_gateway, "PAID"))["id"] for _ in range(2)]
    cancelled = await place_in(fresh_gateway, "CANCELLED", customer_name="Grace Hopper")
    rows = rows_of(await exported(fresh_gateway, status="PAID", fields="id,status"))
    assert [list(row) for row in rows] == [["id", "status", "cursor"]] * 2
    assert [row["id"] for row in rows] == paid
    assert [row["id"] for row in rows_of(await exported(fresh_gateway, q="hopper"))] == [cancelled["id"]]
    both = rows_of(await exported(fresh_gateway, status="CANCELLED,PAID", total_from=1))
    assert [row["id"] for row in both] == [*paid, cancelled["id"]]


async def test_a_client_exports_only_its_own_orders(gateway: Gateway) -> None:
    customer = uuid4()
    key = await gateway.new_client(customer)
    assert (await exported(gateway, key=key)).content == b""
    own = await place(gateway, customer_id=str(customer))
    await place(gateway)
    assert [row["id"] for row in rows_of(await exported(gateway, key=key))] == [own["id"]]
    assert (await exported(gateway, key=key, customer_id=str(uuid4()))).content == b""
    cursor = rows_of(await exported(gateway, key=key))[0]["cursor"]
    response = await gateway.get(f"/orders/export?cursor={cursor}")
    assert (response.status_code, response.json()["error"]["details"]["field"]) == (422, "cursor")


async def test_csv_has_a_header_and_the_values_of_the_list(gateway: Gateway) -> None:
    customer = str(uuid4())
    orders = [await place(gateway, customer_id=customer, customer_name=name) for name in ('Ada "A", L', "Ünï")]
    response = await exported(gateway, format="csv", customer_id=customer)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    header, *lines = csv.reader(io.StringIO(response.text, newline=""))
    assert header == [*OrderResponse.__annotations__, "cursor"]
    for order, line in zip(orders, lines, strict=True):
        row = dict(zip(header, line, strict=True))
        for name in ("id", "status", "created_at", "customer_name", "order_number"):
            assert row[name] == order[name]
        assert float(row["total_amount"]) == order["total_amount"]
        assert row["tracking_number"] == ""
        assert json.loads(row["line_items"]) == order["line_items"]
    rest = await exported(gateway, format="csv", customer_id=customer, cursor=lines[0][-1])
    assert rest.headers["Content-Type"] == "text/csv; charset=utf-8; header=absent"
    assert list(csv.reader(io.StringIO(rest.text, newline=""))) == [lines[1]]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1+1", "\ufeff=1+1"])
async def test_no_text_in_csv_is_a_formula(gateway: Gateway, name: str) -> None:
    order = await place(gateway, customer_id=str(uuid4()), customer_name=name)
    query = {"customer_id": order["customer_id"], "fields": "customer_name"}
    _, (cell, _) = csv.reader(io.StringIO((await exported(gateway, format="csv", **query)).text, newline=""))
    assert cell == f"'{name}"
    assert rows_of(await exported(gateway, **query))[0]["customer_name"] == name


async def test_no_part_of_a_text_in_csv_is_a_formula_where_a_semicolon_ends_a_cell(gateway: Gateway) -> None:
    text = 'Ada;=HYPERLINK("https://evil.example"); +1;\u200b@x; a-b=c'
    order = await place(gateway, customer_id=str(uuid4()), customer_name=text, metadata={"to": "x;=1+1;y"})
    query = {"customer_id": order["customer_id"], "fields": "customer_name,metadata"}
    _, (name, metadata, _) = csv.reader(io.StringIO((await exported(gateway, format="csv", **query)).text, newline=""))
    assert name == "Ada;'=HYPERLINK(\"https://evil.example\");' +1;'\u200b@x; a-b=c"
    assert json.loads(metadata) == {"to": "x;'=1+1;y"}
    assert rows_of(await exported(gateway, **query))[0]["customer_name"] == text


async def test_the_format_is_chosen_by_accept_unless_it_is_given(gateway: Gateway) -> None:
    for accept, query, expected in (
        ("text/csv", "", "text/csv; charset=utf-8; header=present"),
        ("text/csv", "&format=ndjson", "application/x-ndjson"),
        ("*/*", "", "application/x-ndjson"),
        ("text/csv, */*;q=0.1", "", "text/csv; charset=utf-8; header=present"),
        ("application/x-ndjson, text/csv;q=0.1", "", "application/x-ndjson"),
        ("Text/CSV; q=0", "", "application/x-ndjson"),
    ):
        address = f"/orders/export?customer_id={uuid4()}{query}"
        response = await gateway.call("GET", address, headers={"Accept": accept})
        assert response.headers["Content-Type"] == expected
    head = await gateway.call("HEAD", "/orders/export?format=csv")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("query", ["format=xml", "cursor=AAAA", "sort=created_at", "limit=5", "offset=0", "fields=x"])
async def test_an_invalid_export_is_rejected_before_it_begins(gateway: Gateway, query: str) -> None:
    response = await gateway.get(f"/orders/export?{query}")
    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"] == query.partition("=")[0]


async def test_exports_beyond_the_limit_are_told_to_wait(fresh_gateway: Gateway) -> None:
    fresh_gateway.app.state.export_slots = RequestSlots("exports", places=0)
    response = await fresh_gateway.get("/orders/export")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    fresh_gateway.app.state.export_slots = slots = RequestSlots("exports", places=1)
    for _ in range(3):
        await exported(fresh_gateway)
    assert not slots.taken


@pytest.mark.parametrize("seed", range(2))
async def test_orders_that_exist_throughout_are_exported_once_while_others_come(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 2 + seed)
    async with serve(SERVICE, make_database("orders")) as gateway:
        before = [(await place(gateway))["id"] for _ in range(15)]
        done = asyncio.Event()

        async def place_others() -> None:
            while not done.is_set():
                await place(gateway)

        async def read() -> list[str]:
            order_ids = [row["id"] for row in rows_of(await exported(gateway))]
            done.set()
            return order_ids

        _, order_ids = await asyncio.gather(place_others(), read())
        assert order_ids[: len(before)] == before
        assert len(set(order_ids)) == len(order_ids)


class Client:
    """An ASGI client that reads the parts of a response one by one; until it does, `send` waits."""

    def __init__(self, gateway: Gateway) -> None:
        self.is_gone = asyncio.Event()
        self.parts: asyncio.Queue[Message] = asyncio.Queue(maxsize=1)
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/orders/export",
            "raw_path": b"/api/v1/orders/export",
            "query_string": b"",
            "headers": [(b"x-api-key", b"ops.the-secret-of-a-test")],
            "client": ("192.0.2.7", 50_000),
            "server": ("gateway", 80),
            "scheme": "http",
            "root_path": "",
            "http_version": "1.1",
        }
        self.response = asyncio.ensure_future(gateway.app(scope, self._receive, self.parts.put))

    async def _receive(self) -> Message:
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def part(self) -> Message:
        return await asyncio.wait_for(self.parts.get(), 20)


async def test_no_connection_is_held_while_the_client_does_not_read(
    fresh_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 1)
    order_ids = [(await place(fresh_gateway))["id"] for _ in range(4)]
    client, received = Client(fresh_gateway), []
    assert (await client.part())["status"] == 200
    part = await client.part()
    while part["more_body"]:
        received.append(json.loads(part["body"])["id"])
        # Until the next row is read, and waits for the client.
        async with asyncio.timeout(20):
            while len(received) < 4 and not (client.parts.full() and await _busy(fresh_gateway) == 0):
                await asyncio.wait([client.response], timeout=0.01)
        part = await client.part()
    assert received == order_ids
    await client.response


async def _busy(gateway: Gateway) -> int:
    async with gateway.pool.acquire() as connection:
        busy: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    return busy


async def test_an_export_ends_when_its_client_is_gone(fresh_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 1)
    fresh_gateway.app.state.export_slots = slots = RequestSlots("exports", places=1)
    for _ in range(10):
        await place(fresh_gateway)
    client = Client(fresh_gateway)
    for _ in range(3):
        await client.part()
    client.is_gone.set()
    parts = 0
    while not client.response.done():
        if not client.parts.empty():
            client.parts.get_nowait()
            parts += 1
        await asyncio.sleep(0)
    assert parts < 5
    assert not slots.taken


async def test_a_failure_after_some_rows_leaves_the_response_without_its_end(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 1)
    database = make_database("orders")
    async with serve(SERVICE, database) as gateway:
        for _ in range(4):
            await place(gateway)
        client = Client(gateway)
        await client.part()
        owner = await asyncpg.connect(database.owner_dsn)
        try:
            await owner.execute("ALTER TABLE order_lines RENAME TO gone")
        finally:
            await owner.close()
        bodies = []
        while not client.response.done():
            if not client.parts.empty():
                bodies.append(client.parts.get_nowait())
            await asyncio.sleep(0)
        with pytest.raises(asyncpg.UndefinedTableError):
            client.response.result()
        assert all(part["more_body"] for part in bodies)
        assert not gateway.app.state.export_slots.taken
