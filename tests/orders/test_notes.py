"""Internal notes on orders: for staff only, written once, audited, erasable."""

import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from common.text.visible import shows_nothing
from orders.app import SERVICE
from support.example.orders import an_order_id, created, place, place_in
from support.gateway.application import Gateway, serve
from support.postgres.audit_and_events import audit_and_events
from support.postgres.audit_trail import first_broken, history
from support.postgres.databases import MakeDatabase

TEXT = "Asked on the telephone for a later delivery.\nAgreed: after the 12th."
STAFF = ["warehouse", "payments", "manager", "ops"]


async def add_note(gateway: Gateway, order: dict[str, Any], text: str = TEXT, key: str = "manager") -> dict[str, Any]:
    return created(await gateway.post(f"/orders/{order['id']}/notes", {"text": text}, key=key))


async def test_notes_of_staff_are_listed_newest_first_and_in_pages(gateway: Gateway) -> None:
    order = await place(gateway)
    notes = [await add_note(gateway, order, f"note {number}", key=role) for number, role in enumerate(STAFF)]
    assert [note["actor_name"] for note in notes] == STAFF
    assert {note["entity_id"] for note in notes} == {order["id"]}
    page = (await gateway.get(f"/orders/{order['id']}/notes?limit=3", key="warehouse")).json()
    assert page["data"] == notes[:0:-1]
    assert (page["pagination"]["total"], page["pagination"]["has_more"]) == (4, True)
    rest = (await gateway.get(f"/orders/{order['id']}/notes?cursor={page['pagination']['next_cursor']}")).json()
    assert rest["data"] == notes[:1]


async def test_clients_neither_write_nor_read_notes_and_see_no_trace_of_them(gateway: Gateway) -> None:
    order = await place_in(gateway, "PAID")
    before = await audit_and_events(gateway.pool, "ORDER", order["id"])
    histories = [f"/orders/{order['id']}/history", f"/orders/{order['id']}/history?include=all"]
    seen = [(await gateway.get(path, key="client")).content for path in histories]
    await add_note(gateway, order)
    for response in (
        await gateway.get(f"/orders/{order['id']}/notes", key="client"),
        await gateway.post(f"/orders/{order['id']}/notes", {"text": TEXT}, key="client"),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert (await gateway.get(f"/orders/{order['id']}", key="client")).json() == order
    assert [(await gateway.get(path, key="client")).content for path in histories] == seen
    assert await audit_and_events(gateway.pool, "ORDER", order["id"]) == before


async def test_a_note_has_an_audit_row_with_its_author_and_its_text(gateway: Gateway) -> None:
    order = await place(gateway)
    note = await add_note(gateway, order)
    async with gateway.pool.acquire() as connection:
        rows = await history(connection, "ORDER_NOTE", UUID(note["id"]))
    assert first_broken(rows) is None
    [row] = rows
    assert (row["outcome"], row["actor_id"]) == ("ACCEPTED", note["actor_id"])
    assert json.loads(row["details"]) == {"actor_name": "manager", "entity_id": order["id"], "text": TEXT}


async def test_a_repeated_request_writes_one_note(gateway: Gateway) -> None:
    order = await place(gateway)
    first, second = [
        await gateway.call(
            "POST", f"/orders/{order['id']}/notes", {"text": TEXT}, headers={"Idempotency-Key": f"note {order['id']}"}
        )
        for _ in range(2)
    ]
    assert second.content == first.content
    assert (await gateway.get(f"/orders/{order['id']}/notes")).json()["pagination"]["total"] == 1


async def test_notes_of_an_unknown_order_are_not_found(gateway: Gateway) -> None:
    path = f"/orders/{an_order_id()}/notes"
    assert (await gateway.get(path)).status_code == (await gateway.post(path, {"text": TEXT})).status_code == 404


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "\u200b"}, {"text": "x" * 2001}, {"text": 7}, {"a": "b"}])
async def test_a_note_without_a_visible_text_is_rejected(gateway: Gateway, body: dict[str, Any]) -> None:
    order = await place(gateway)
    assert (await gateway.post(f"/orders/{order['id']}/notes", body)).status_code == 422


async def test_hostile_texts_of_notes_are_stored_unchanged_or_rejected(gateway: Gateway) -> None:
    order = await place(gateway)
    texts = ["'; DROP TABLE order_notes; --", "<script>alert(1)</script>", "\u202etest\u202c", "a" + "\u0301" * 100,
             "👩🏽", "x\x00y", "x\x1b[31my", "x\x85y", "\ufeffx", "{{7*7}}", "\u2800", "x\r\ny",
             "=cmd|' /C calc'!A0"]  # fmt: skip
    for text in texts:
        response = await gateway.post(f"/orders/{order['id']}/notes", {"text": text})
        assert response.status_code in (201, 422), text
        if response.status_code == 201:
            newest = (await gateway.get(f"/orders/{order['id']}/notes?limit=1")).json()["data"][0]
            assert response.json()["text"] == newest["text"] == text.strip()
        else:
            assert shows_nothing(text) or not text.isprintable()


async def test_notes_are_not_changed_or_deleted_but_their_owner_can_erase_them_and_the_audit_still_verifies(
    make_database: MakeDatabase,
) -> None:
    database = make_database("orders")
    async with serve(SERVICE, database) as gateway:
        order = await place(gateway)
        note = await add_note(gateway, order)
        for statement in ("UPDATE order_notes SET text = ''", "DELETE FROM order_notes"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await gateway.pool.execute(statement)
        owner = await asyncpg.connect(database.owner_dsn)
        try:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                await owner.execute("DELETE FROM order_notes")
            async with owner.transaction():
                await owner.execute("SET LOCAL articurated.erasure = 'on'")
                await owner.execute("DELETE FROM order_notes WHERE id = $1", UUID(note["id"]))
                await owner.execute(
                    "DELETE FROM audit_details USING audit"
                    " WHERE audit.id = audit_id AND entity_type = 'ORDER_NOTE' AND entity_id = $1",
                    UUID(note["id"]),
                )
        finally:
            await owner.close()
        async with gateway.pool.acquire() as connection:
            rows = await history(connection, "ORDER_NOTE", UUID(note["id"]))
        assert first_broken(rows) is None
        assert [row["details"] for row in rows] == [None]
        assert (await gateway.get(f"/orders/{order['id']}/notes")).json()["data"] == []
