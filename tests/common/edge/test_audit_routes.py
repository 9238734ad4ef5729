"""The routes of the audit trail: search, export, consistency of checkpoints, verifications."""

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio
from chaos.tamper_trials import verifier
from common.audit import entries
from common.audit.actor import Actor
from common.audit.checkpoint import SigningKey
from common.audit.entries import AuditEntry
from common.audit.sealer import Sealer
from common.database.transactions import transaction
from common.edge.admission.request_slots import RequestSlots
from common.operators.auditor import verify_regularly
from support.events.traceparent import TRACEPARENT
from support.gateway.vase_service import VaseGateway, open_vase_gateway
from support.postgres.databases import Database
from support.running import running
from support.waiting import eventually

SECRET = b64encode(bytes(range(32))).decode()
KEY = SigningKey(SECRET)
CLERK, POTTER = (
    Actor(UUID(int=number), name, "USER", "API_CALL", TRACEPARENT) for number, name in ((7, "c"), (8, "p"))
)
SYSTEM = Actor(None, "vase.broken", "SYSTEM", "EVENT", TRACEPARENT)
START = datetime(2026, 11, 29, 12, tzinfo=UTC)
BLUE, RED = UUID(int=1), UUID(int=2)
MADE = AuditEntry("VASE", BLUE, None, "MADE", "ACCEPTED", CLERK, START, {"colour": "blue"})
ENTRIES = [
    MADE,
    replace(MADE, entity_id=RED, actor=POTTER, created_at=START + timedelta(minutes=1)),
    replace(MADE, previous_state="MADE", new_state="SOLD", outcome="REFUSED", created_at=START + timedelta(minutes=2)),
    replace(MADE, previous_state="MADE", new_state="BROKEN", actor=SYSTEM, created_at=START + timedelta(minutes=3)),
    replace(MADE, entity_type="KILN", entity_id=UUID(int=3), created_at=START + timedelta(minutes=4)),
]


@pytest_asyncio.fixture
async def vase_gateway(database: Database) -> AsyncIterator[VaseGateway]:
    async with open_vase_gateway(database, audit_signing_key=SECRET) as vase_gateway:
        for entry in ENTRIES:
            async with transaction(vase_gateway.pool) as connection:
                await entries.append(connection, entry)
        yield vase_gateway


@pytest_asyncio.fixture
async def manager(vase_gateway: VaseGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with vase_gateway.client("manager") as client:
        yield client


def sealer_of(vase_gateway: VaseGateway) -> Sealer:
    return Sealer(vase_gateway.pool, "workshop", key=KEY, store=None, seconds=9)


async def states(client: httpx.AsyncClient, **filters: str) -> list[tuple[str, str]]:
    response = await client.get("/audit", params=filters)
    assert response.status_code == 200, response.text
    return [(record["entity_type"], record["new_state"]) for record in response.json()["data"]]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"entity_type": "KILN"}, [4]),
        ({"entity_id": str(BLUE)}, [3, 2, 0]),
        ({"entity_type": "VASE", "entity_id": str(RED)}, [1]),
        ({"actor_id": str(POTTER.id)}, [1]),
        ({"actor_type": "SYSTEM"}, [3]),
        ({"trigger": "EVENT"}, [3]),
        ({"new_state": "SOLD"}, [2]),
        ({"outcome": "REFUSED"}, [2]),
        ({"outcome": "ACCEPTED", "actor_id": str(CLERK.id)}, [4, 0]),
        ({"created_from": "2026-11-29T12:01:00Z", "created_to": "2026-11-29T12:02:00Z"}, [2, 1]),
        ({"new_state": "NEVER"}, []),
    ],
)
async def test_rows_are_found_by_each_filter_newest_first(
    manager: httpx.AsyncClient, filters: dict[str, str], found: list[int]
) -> None:
    expected = [(ENTRIES[index].entity_type, ENTRIES[index].new_state) for index in found]
    assert await states(manager, **filters) == expected


async def test_a_row_is_shown_as_in_a_history(manager: httpx.AsyncClient) -> None:
    [record] = (await manager.get("/audit", params={"actor_id": str(POTTER.id)})).json()["data"]
    assert record["actor_id"] == str(POTTER.id)
    assert record["metadata"] == {"actor_name": "p", "colour": "blue"}
    assert record["created_at"] == "2026-11-29T12:01:00Z"


async def test_pages_follow_each_other_by_cursor_while_rows_are_added(
    vase_gateway: VaseGateway, manager: httpx.AsyncClient
) -> None:
    first = await manager.get("/audit", params={"limit": "2"})
    pagination = first.json()["pagination"]
    assert pagination["has_more"]
    assert f"cursor={pagination['next_cursor']}" in first.headers["Link"]
    async with transaction(vase_gateway.pool) as connection:
        await entries.append(connection, replace(MADE, entity_id=RED, created_at=START + timedelta(hours=1)))
    seen: list[Any] = [first]
    while cursor := seen[-1].json()["pagination"]["next_cursor"]:
        seen.append(await manager.get("/audit", params={"limit": "2", "cursor": cursor}))
    times = [record["created_at"] for page in seen for record in page.json()["data"]]
    assert times == [f"2026-11-29T12:0{minute}:00Z" for minute in (4, 3, 2, 1, 0)]
    wrong = await manager.get(
        "/audit", params={"limit": "2", "cursor": pagination["next_cursor"], "outcome": "REFUSED"}
    )
    assert wrong.status_code == 422


@pytest.mark.parametrize("role", ["client", "warehouse", "payments"])
@pytest.mark.parametrize("path", ["/audit", "/audit/export", "/audit/checkpoints/1/consistency"])
async def test_only_managers_and_operators_may_read_the_trail(vase_gateway: VaseGateway, role: str, path: str) -> None:
    async with vase_gateway.client(role) as client:
        assert (await client.get(path)).status_code == 403


@pytest.mark.parametrize(
    "query", ["entity_id=x", "outcome=LOST", "created_from=now", "limit=0", "new_state=%C3%A9", "q=1"]
)
async def test_a_wrong_filter_is_named(manager: httpx.AsyncClient, query: str) -> None:
    response = await manager.get(f"/audit?{query}")
    assert response.status_code == 422
    assert response.json()["error"]["details"]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("include", ["", "?include=details"])
async def test_an_export_verifies(vase_gateway: VaseGateway, manager: httpx.AsyncClient, include: str) -> None:
    await sealer_of(vase_gateway).seal_batch()
    note = await vase_gateway.pool.fetchval("SELECT note FROM audit_checkpoints")
    response = await manager.get(f"/audit/export{include}")
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert ("colour" in response.text) == bool(include)
    lines = response.text.splitlines()
    assert f'"public_key":"{KEY.public}"' in lines[0]
    assert list(verifier.verify(lines, [verifier.Note(note)], verifier.b64decode(KEY.public))) == []
    without_one = [line for line in lines if '"kind":"row"' not in line or str(RED) not in line]
    assert list(verifier.verify(without_one, [verifier.Note(note)])) == [f"vanished: VASE {RED}, position 1 to 1"]


async def test_an_export_that_cannot_begin_is_a_normal_error(
    vase_gateway: VaseGateway, manager: httpx.AsyncClient, database: Database
) -> None:
    vase_gateway.app.state.audit_export_slots = RequestSlots("exports", places=0)
    response = await manager.get("/audit/export")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    vase_gateway.app.state.audit_export_slots = slots = RequestSlots("exports", places=1)
    for method in ("GET", "HEAD", "GET"):
        response = await manager.request(method, "/audit/export")
        assert (response.status_code, bool(response.content)) == (200, method == "GET")
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("ALTER TABLE audit_log RENAME TO away")
    await owner.close()
    assert (await manager.get("/audit/export")).status_code == 500
    assert not slots.taken


async def test_each_checkpoint_is_proven_to_continue_the_earlier_ones(
    vase_gateway: VaseGateway, manager: httpx.AsyncClient
) -> None:
    sealer = sealer_of(vase_gateway)
    await sealer.seal_batch()
    async with transaction(vase_gateway.pool) as connection:
        await entries.append(connection, replace(MADE, entity_id=RED))
    await sealer.seal_batch()
    [earlier, later] = await vase_gateway.pool.fetch("SELECT size, note FROM audit_checkpoints ORDER BY size")
    response = await manager.get(f"/audit/checkpoints/{earlier['size']}/consistency")
    proof = response.json()
    assert (proof["earlier"], proof["later"]) == (earlier["note"], later["note"])
    assert len(proof["proof"]) > 0
    assert (await manager.get("/audit/checkpoints/99/consistency")).status_code == 404
    assert (await manager.get("/audit/checkpoints/0/consistency")).status_code == 422


async def test_a_requested_verification_is_run_by_the_relay_and_shown(vase_gateway: VaseGateway) -> None:
    async with (
        vase_gateway.client("ops") as ops,
        running(lambda stopping: verify_regularly(vase_gateway.runtime, stopping)),
    ):
        requested = await ops.post("/ops/audit-verifications")
        assert requested.status_code == 202

        async def is_finished() -> bool:
            listed = (await ops.get("/ops/audit-verifications")).json()["data"]
            return all(each["finished_at"] is not None for each in listed)

        await eventually(is_finished)
        for listed in (await ops.get("/ops/audit-verifications")).json()["data"]:
            assert listed["result"]["broken"] is None
            assert listed["result"]["rows"] >= len(ENTRIES)
