"""Internal notes on returns: for staff only, audited, invisible for clients."""

from uuid import UUID, uuid4

from support.example.orders import created
from support.example.returns import open_return
from support.gateway.application import Gateway
from support.postgres.audit_and_events import audit_and_events
from support.postgres.audit_trail import history


async def test_staff_writes_and_reads_notes_of_which_clients_see_no_trace(gateway: Gateway) -> None:
    opened = await open_return(gateway)
    before = await audit_and_events(gateway.pool, "RETURN", opened["id"])
    path = f"/returns/{opened['id']}/notes"
    note = created(await gateway.post(path, {"text": "The photo shows another cup."}, key="warehouse"))
    assert (await gateway.get(path, key="manager")).json()["data"] == [note]
    for response in (await gateway.get(path, key="client"), await gateway.post(path, {"text": "x"}, key="client")):
        assert response.status_code == 403
    assert (await gateway.get(f"/returns/{opened['id']}", key="client")).json() == opened
    assert await audit_and_events(gateway.pool, "RETURN", opened["id"]) == before
    async with gateway.pool.acquire() as connection:
        [row] = await history(connection, "RETURN_NOTE", UUID(note["id"]))
    assert row["actor_id"] == note["actor_id"]


async def test_notes_of_an_unknown_return_are_not_found(gateway: Gateway) -> None:
    path = f"/returns/{uuid4()}/notes"
    assert (await gateway.get(path)).status_code == (await gateway.post(path, {"text": "x"})).status_code == 404
