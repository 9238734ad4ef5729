"""`GET /orders` by what people know of an order: filters, search by words, sorts, and selected fields."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import pytest
import sqlalchemy as sa
from common.aggregates.among import Among
from common.database.schema_version import revision_streams
from common.database.statements import prepare
from common.running.migrate import migrate_database
from orders.app import SERVICE
from orders.tables import metadata, order_search, orders
from support.example.ada import PAYMENT, TEACUPS
from support.example.orders import place, place_in
from support.gateway.application import Gateway, serve
from support.postgres.databases import MakeDatabase


async def found(gateway: Gateway, *, key: str = "ops", **query: object) -> list[str]:
    """The ids of a list that fits on one page; its total is their number, and cursor pages have the same orders."""
    address = f"/orders?limit=100&{urlencode(query)}"
    response = await gateway.get(address, key=key)
    assert response.status_code == 200, response.text
    page = response.json()
    order_ids = [order["id"] for order in page["data"]]
    assert page["pagination"]["total"] == len(order_ids)
    by_cursor: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await gateway.get(f"/orders?limit=1&cursor={cursor}&{urlencode(query)}", key=key)).json()
        assert page["pagination"]["total"] == len(order_ids)
        by_cursor += [order["id"] for order in page["data"]]
        cursor = page["pagination"]["next_cursor"]
    assert by_cursor == order_ids
    return order_ids


async def test_an_order_is_found_by_each_thing_that_people_know(gateway: Gateway) -> None:
    email = f"Grace.{uuid4().hex}@ships.example"
    order = await place(gateway, customer_email=email)
    payment, tracking = f"pi_{uuid4().hex}", f"JJD{uuid4().hex}"
    for change in (
        {"new_state": "PAID", "payment_transaction_id": payment},
        {"new_state": "PROCESSING_IN_WAREHOUSE"},
        {"new_state": "SHIPPED", "tracking_number": tracking},
    ):
        assert (await gateway.patch(f"/orders/{order['id']}/state", change)).status_code == 200
    for query in (
        {"order_number": order["order_number"]},
        {"order_number": order["order_number"].lower()},
        {"customer_email": email},
        {"customer_email": email.upper().replace("@SHIPS.EXAMPLE", "@ships.example")},
        {"tracking_number": tracking},
        {"payment_reference": payment},
        {"q": email.lower(), "status": "SHIPPED,PAID"},
    ):
        assert await found(gateway, **query) == [order["id"]], query
    for query in (
        {"order_number": order["order_number"][:-1]},
        {"customer_email": email.removeprefix("Grace.")},
        {"tracking_number": tracking[:-1]},
        {"payment_reference": payment[:-1]},
        {"q": email.lower(), "status": "PAID"},
        {"tracking_number": tracking, "customer_id": str(uuid4())},
    ):
        assert await found(gateway, **query) == [], query


async def test_a_payment_is_found_by_the_reference_that_it_had_first(gateway: Gateway) -> None:
    order = await place(gateway)
    for change in ({"new_state": "PAID"}, {"new_state": "PAID", "payment_transaction_id": f"pi_{uuid4().hex}"}):
        assert (await gateway.patch(f"/orders/{order['id']}/state", change)).status_code == 200
    assert await found(gateway, payment_reference=f"order-{order['id']}") == [order["id"]]


async def test_words_are_found_by_their_beginnings_whatever_their_case_and_form(gateway: Gateway) -> None:
    mark = uuid4().hex
    names = ["Ada Lovelace-Byron", "Łucja ÉMILE", "O'Brien \\ Sons", "\uff37\uff29\uff24\uff25 Jo", "J Smith"]
    ids = {name: (await place(gateway, customer_name=f"{name} {mark}", customer_email=None))["id"] for name in names}

    async def matches(words: str) -> list[str]:
        order_ids = await found(gateway, q=f"{words} {mark}")
        return [name for name in names if ids[name] in order_ids]

    for words, name in {
        "ada": "Ada Lovelace-Byron",
        "LOVE": "Ada Lovelace-Byron",
        "byron ada": "Ada Lovelace-Byron",
        "lovelace-by": "Ada Lovelace-Byron",
        "łuc": "Łucja ÉMILE",
        "émi": "Łucja ÉMILE",
        "e\u0301mile": "Łucja ÉMILE",
        "o'br": "O'Brien \\ Sons",
        "\\ sons": "O'Brien \\ Sons",
        "wide": "\uff37\uff29\uff24\uff25 Jo",
        "j smi": "J Smith",
    }.items():
        assert await matches(words) == [name], words
    for words in ("velace", "ada smith", "x':* | 'ada", "!ada", "%", "_da"):
        assert await matches(words) == [], words


async def test_the_index_is_read_by_the_rarest_word(fresh_gateway: Gateway) -> None:
    """Its entries for a frequent word, which may be a million, are not collected."""
    pool, numbers = fresh_gateway.pool, range(500)
    await pool.executemany(
        "INSERT INTO order_search (id, terms) VALUES ($1, search_terms($2, $3))",
        [(uuid4(), "Ada Lovelace" if number % 2 else "Ada Byron", f"n{number}") for number in numbers],
    )
    await pool.execute("ANALYZE order_search")

    async def rarest(words: str) -> str:
        word: str = await pool.fetchval("SELECT rarest_search_word($1, 'order_search')::text", words)
        return word

    assert await rarest("ada n123") == "'n123':*"
    assert await rarest("lovelace ad") == "'lovelace':*"
    assert await rarest("ada unknown") == "'unknown':*"
    assert await rarest("Ada") == "'ada':*"


async def test_a_search_of_two_words_finds_a_name_whose_lower_case_composes(gateway: Gateway) -> None:
    """Unicode has one character for the small h with a line below, but two for the capital one."""
    mark = uuid4().hex
    order = await place(gateway, customer_name=f"H\u0331asan Ali {mark}")
    for words in ("H\u0331asan", "H\u0331asan Ali", "ali H\u0331as"):
        assert await found(gateway, q=f"{words} {mark}") == [order["id"]], words


async def test_a_list_reads_the_index_by_the_rarest_word_that_is_found_once(fresh_gateway: Gateway) -> None:
    pool = fresh_gateway.pool
    await pool.execute(
        """
        INSERT INTO order_search (id, terms)
        SELECT gen_random_uuid(), search_terms('Ada', 'n' || number) FROM generate_series(1, 20000) AS number
        """
    )
    await pool.execute("ANALYZE order_search")
    words = Among.having_words(order_search, "q")
    statement = prepare(sa.select(orders.c.id).where(words.condition(orders.c.id, walks=False)))
    async with pool.acquire() as connection:
        plan = "\n".join(
            row[0] for row in await connection.fetch(f"EXPLAIN {statement.sql}", "ada n12", "order_search")
        )
    assert "Bitmap Index Scan on ix_order_search_terms" in plan, plan
    assert "InitPlan" in plan, plan
    assert "rarest_search_word" not in plan, plan


async def test_a_number_is_found_without_its_prefix(gateway: Gateway) -> None:
    order = await place(gateway, customer_name=f"mark{uuid4().hex}")
    number = order["order_number"]
    for words in (number, number.lower(), number.split("-")[2]):
        assert order["id"] in await found(gateway, q=f"{words} {order['customer_name']}")


async def test_a_name_of_the_longest_words_is_stored_and_found(gateway: Gateway) -> None:
    """One character can become eighteen, and PostgreSQL has no search terms of more than 2 kB."""
    name = "\ufdfa" * 255
    order = await place(gateway, customer_name=name, customer_email=f"{uuid4().hex}@ships.example")
    assert await found(gateway, q=order["customer_email"]) == [order["id"]]


async def test_a_client_finds_only_its_own_orders(gateway: Gateway) -> None:
    customer, mark = uuid4(), f"mark{uuid4().hex}"
    own = await place(gateway, customer_id=str(customer), customer_name=mark)
    other = await place(gateway, customer_name=mark)
    key = await gateway.new_client(customer)
    assert await found(gateway, q=mark, key=key) == [own["id"]]
    assert await found(gateway, order_number=other["order_number"], key=key) == []


async def test_several_statuses_are_separated_by_commas(fresh_gateway: Gateway) -> None:
    ids = {state: (await place_in(fresh_gateway, state))["id"] for state in ("PAID", "SHIPPED", "CANCELLED")}
    ids["newest"] = (await place_in(fresh_gateway, "PAID"))["id"]
    several = "CANCELLED,PAID"
    assert await found(fresh_gateway, status=several) == [ids["newest"], ids["CANCELLED"], ids["PAID"]]
    oldest_first = [ids["PAID"], ids["CANCELLED"], ids["newest"]]
    assert await found(fresh_gateway, status=several, sort="created_at") == oldest_first
    page = (await fresh_gateway.get(f"/orders?status={several}&limit=1&offset=1")).json()
    assert [order["id"] for order in page["data"]] == [ids["CANCELLED"]]
    assert await found(fresh_gateway, status="PAID,PAID") == [ids["newest"], ids["PAID"]]
    assert await found(fresh_gateway, status="PENDING_PAYMENT,DELIVERED") == []


async def test_orders_are_sorted_by_creation_change_and_total(fresh_gateway: Gateway) -> None:
    def lines(price: float) -> list[dict[str, Any]]:
        return [{**TEACUPS, "quantity": 1, "unit_price": price, "tax_rate": 0}]

    first, second, third, fourth = [
        (await place(fresh_gateway, line_items=lines(price)))["id"] for price in (20, 5, 10, 10)
    ]
    await fresh_gateway.patch(f"/orders/{second}/state", {"new_state": "PAID", "payment_transaction_id": PAYMENT})
    for sort, expected in {
        "created_at": [first, second, third, fourth],
        "total_amount": [second, third, fourth, first],
        "updated_at": [first, third, fourth, second],
    }.items():
        assert await found(fresh_gateway, sort=sort) == expected
        assert await found(fresh_gateway, sort=f"-{sort}") == expected[::-1]
    assert await found(fresh_gateway, total_from="5.01", total_to=10) == [fourth, third]
    assert await found(fresh_gateway, total_from=10, sort="total_amount") == [third, fourth, first]
    assert await found(fresh_gateway, total_from="9.99999", total_to="10.00001") == [fourth, third]
    assert await found(fresh_gateway, total_from="5.00001", total_to="9.99999") == []
    assert await found(fresh_gateway, total_from="9" * 15 + "." + "9" * 15) == []
    assert await found(fresh_gateway, total_from="1e1", total_to="1.0E+01") == [fourth, third]
    assert await found(fresh_gateway, total_to="5e-324") == []
    pending = {"status": "PENDING_PAYMENT", "total_to": "19.99"}
    assert await found(fresh_gateway, **pending) == [fourth, third]
    assert await found(fresh_gateway, status="PENDING_PAYMENT,PAID", sort="-total_amount") == [
        first, fourth, third, second,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "status=LOST",
        "status=PAID,",
        "status=",
        "sort=total",
        "sort=",
        "total_from=-1",
        "total_to=1e15",
        "total_to=1e",
        "total_to=1e1000",
        "total_from=x",
        "order_number=",
        "tracking_number=",
        "customer_email=ada",
        "q=",
        "q=%20x%20",
        "q=a+b+c+d+e+f+g+h+i",
        "fields=",
        "fields=id,",
        "fields=id,secret",
        f"payment_reference={'x' * 256}",
        f"q={'x' * 256}",
    ],
)  # fmt: skip
async def test_an_invalid_condition_is_rejected_by_its_name(gateway: Gateway, query: str) -> None:
    response = await gateway.get(f"/orders?{query}")
    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"] == query.partition("=")[0]


async def test_an_unknown_field_is_rejected_with_the_known_ones(gateway: Gateway) -> None:
    for path in ("/orders", f"/orders/{uuid4()}"):
        response = await gateway.get(f"{path}?fields=id,secret")
        issue = response.json()["error"]["details"]["issue"]
        assert issue.startswith("secret is not one of id, order_number, customer_id, ")


async def test_only_the_selected_fields_are_returned(gateway: Gateway) -> None:
    order = await place(gateway, customer_id=str(uuid4()))
    expected = {"status": "PENDING_PAYMENT", "id": order["id"], "total_amount": order["total_amount"]}
    one = await gateway.get(f"/orders/{order['id']}?fields=status,id,total_amount")
    assert (one.json(), list(one.json())) == (expected, ["status", "id", "total_amount"])
    page = await gateway.get(f"/orders?customer_id={order['customer_id']}&fields=status,id,total_amount,id")
    assert page.json()["data"] == [expected]


async def test_existing_orders_are_found_after_the_migration(make_database: MakeDatabase, tmp_path: Path) -> None:
    """As they were before it: without the rows that the trigger writes."""
    database = make_database("orders")
    common, stream = revision_streams("orders")
    versions = tmp_path / "versions"
    versions.mkdir()
    for name in stream.later_than(None):
        if name <= "0004_search":
            shutil.copy(stream.folder / f"{name}.py", versions)
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute("DROP OWNED BY CURRENT_USER")
        await migrate_database([common, replace(stream, folder=versions)], metadata, database.owner_dsn, "orders")
        # From a later revision: this version of the service reads it with each order.
        await owner.execute("ALTER TABLE payments ADD COLUMN mismatched BOOLEAN DEFAULT false NOT NULL")
        async with serve(SERVICE, database) as gateway:
            order = await place(gateway, customer_name="Grace Hopper")
            await owner.execute("DELETE FROM order_search")
            await migrate_database([common, stream], metadata, database.owner_dsn, "orders")
            assert await found(gateway, q="hopper") == [order["id"]]
            await owner.execute("UPDATE orders SET customer_name = 'erased' WHERE id = $1", UUID(order["id"]))
            assert await found(gateway, q="hopper") == []
            assert await found(gateway, q="erased") == [order["id"]]
    finally:
        await owner.close()
