"""Operators' routes: their responses and effects, and the audit rows that they write."""

from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from common.access import api_keys, key_uses
from common.access.auth import Role
from common.audit.actor import Actor
from common.database.transactions import reading, transaction
from common.operators import poison_commands
from common.operators.poison_commands import PoisonChoice
from common.text import causes
from support.events.traceparent import TRACEPARENT
from support.gateway.operator_tasks import (
    SERVICE,
    a_dead_job,
    a_parked_event,
    a_poison_record,
    audit_transitions,
    open_checked_client,
)
from support.gateway.vase_service import VaseGateway, open_vase_gateway
from support.postgres.databases import Database
from support.running import running
from support.waiting import eventually


@pytest_asyncio.fixture
async def vase_gateway(database: Database) -> AsyncIterator[VaseGateway]:
    async with open_vase_gateway(database, service=SERVICE) as vase_gateway:
        yield vase_gateway


@pytest_asyncio.fixture
async def ops(vase_gateway: VaseGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with open_checked_client(vase_gateway, "ops") as client:
        yield client


async def test_only_operators_may_call_the_operators_routes(vase_gateway: VaseGateway) -> None:
    paths = ["jobs", "poison", "outbox", "api-keys", f"jobs/{uuid4()}", f"poison/{uuid4()}"]
    for role in set(Role) - {Role.OPS}:
        async with vase_gateway.client(role) as client:
            assert {(await client.get(f"/ops/{path}")).status_code for path in paths} == {403}


async def test_jobs_are_listed_by_state_and_shown_with_their_attempts(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    job = await a_dead_job(vase_gateway)
    dead = (await ops.get("/ops/jobs?state=dead&kind=glaze")).json()
    assert [each["id"] for each in dead["data"]] == [str(job)]
    assert dead["pagination"] == {"limit": 20, "offset": 0, "total": 1, "has_more": False, "next_cursor": None}
    assert (await ops.get("/ops/jobs?state=ready")).json()["data"] == []
    assert (await ops.get("/ops/jobs?state=asleep")).status_code == 422
    job_details = (await ops.get(f"/ops/jobs/{job}")).json()
    assert (job_details["state"], job_details["last_error"]) == ("dead", "the kiln is cold")
    [attempt] = job_details["attempts_made"]
    assert (attempt["number"], attempt["worker"], attempt["outcome"]) == (1, "kiln-1", "failed")
    assert attempt["error"] == "the kiln is cold"


async def test_a_dead_job_is_replayed_once_and_the_audit_row_has_its_operator(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    job = await a_dead_job(vase_gateway)
    assert (await ops.post(f"/ops/jobs/{job}/replay")).json()["state"] == "ready"
    again = await ops.post(f"/ops/jobs/{job}/replay")
    assert (again.status_code, again.json()["error"]["details"]) == (409, {"state": "ready"})
    assert (await ops.post(f"/ops/jobs/{uuid4()}/replay")).status_code == 404
    operator = str(api_keys.entity_id(vase_gateway.keys["ops"].partition(".")[0]))
    assert await audit_transitions(vase_gateway, "JOB", job) == [("DEAD", "READY", operator)]


async def test_a_poison_record_is_shown_byte_for_byte_and_processed_when_replayed(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    record = await a_poison_record(vase_gateway, "Vase bleu")
    [list_entry] = (await ops.get("/ops/poison?state=kept")).json()["data"]
    assert (list_entry["id"], list_entry["topic"], list_entry["offset"]) == (str(record), "vases", 7)
    details = (await ops.get(f"/ops/poison/{record}")).json()
    assert b64decode(details["value"]) == b'{"name": "Vase bleu"}'
    assert b64decode(details["key"]) == b"1"
    assert (await ops.post(f"/ops/poison/{record}/replay")).json()["state"] == "replayed"
    assert (await ops.post(f"/ops/poison/{record}/replay")).status_code == 409
    assert (await ops.get("/vases?name=Vase bleu")).json() == 1
    assert [each[:2] for each in await audit_transitions(vase_gateway, "POISON", record)] == [("KEPT", "REPLAYED")]
    assert (await ops.get(f"/ops/poison/{uuid4()}")).status_code == 404


async def test_a_poison_record_that_still_fails_stays_stored_and_discloses_no_details(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    record = await a_poison_record(vase_gateway, "cursed")
    answer = await ops.post(f"/ops/poison/{record}/replay")
    assert answer.status_code == 409
    assert "no words" not in answer.text
    assert (await ops.get(f"/ops/poison/{record}")).json()["state"] == "kept"
    assert await audit_transitions(vase_gateway, "POISON", record) == []


async def test_poison_records_of_one_error_are_replayed_after_a_dry_run_and_those_that_still_fail_stay_kept(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    mended, cursed = [await a_poison_record(vase_gateway, name) for name in ("Vase bleu", "cursed")]
    chosen = {"topic": "vases", "error": "RuntimeError('once')"}
    dry = (await ops.post("/ops/poison/replay", json={"filter": chosen, "dry_run": True})).json()
    assert (dry["matched"], dry["replayed"], set(dry["ids"])) == (2, 0, {str(mended), str(cursed)})
    done = (await ops.post("/ops/poison/replay", json={"filter": {"ids": dry["ids"]}})).json()
    assert (done["ids"], done["failed"]) == ([str(mended)], [str(cursed)])
    assert (await ops.get("/vases?name=Vase bleu")).json() == 1
    assert [each[:2] for each in await audit_transitions(vase_gateway, "POISON", mended)] == [("KEPT", "REPLAYED")]
    assert await audit_transitions(vase_gateway, "POISON", cursed) == []
    again = (await ops.post("/ops/poison/replay", json={"filter": chosen})).json()
    assert (again["matched"], again["ids"], again["failed"]) == (1, [], [str(cursed)])
    assert (await ops.post("/ops/poison/replay", json={"filter": {}})).status_code == 422


async def test_records_that_somebody_else_replayed_meanwhile_are_not_counted_as_failed(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    names = ("Vase bleu", "Vase vert", "Vase noir", "Vase blanc", "cursed")
    kept, replayed, discarded, purged, failing = [await a_poison_record(vase_gateway, name) for name in names]
    async with transaction(vase_gateway.pool) as connection:
        chosen = await poison_commands.choose(connection, PoisonChoice(topic="vases"))
    await ops.post(f"/ops/poison/{replayed}/replay")
    await ops.post(f"/ops/poison/{discarded}/discard", json={"reason": "the vase is sold"})
    await vase_gateway.pool.execute("DELETE FROM poison WHERE id = $1", purged)

    actor = Actor(None, "eve", "USER", "API_CALL", TRACEPARENT)
    async with transaction(vase_gateway.pool) as connection:
        done = await poison_commands.replay_records(connection, actor, vase_gateway.runtime, chosen)
    assert (done["matched"], done["ids"], done["failed"]) == (5, [kept], [failing])


async def test_poison_records_of_one_cause_are_replayed_whatever_differs_in_their_errors(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    error = "CheckViolationError: a check\nDETAIL: Failing row contains ({}, 12.50)."
    names = ("Vase bleu", "Vase vert")
    alike = [await a_poison_record(vase_gateway, name, error.format(uuid4())) for name in names]
    other = await a_poison_record(vase_gateway, "Vase noir", "ValueError: no price")
    [shown, *_] = (await ops.get("/ops/poison?state=kept&limit=3")).json()["data"][1:]
    assert shown["cause"] == "CheckViolationError: a check DETAIL: Failing row contains (<id>, <number>)."

    chosen = {"topic": "vases", "cause": shown["cause"]}
    dry = (await ops.post("/ops/poison/replay", json={"filter": chosen, "dry_run": True})).json()
    assert dry["ids"] == [str(each) for each in alike]
    exact = {"error": shown["error"]}
    dry = (await ops.post("/ops/poison/replay", json={"filter": exact, "dry_run": True})).json()
    assert dry["ids"] == [shown["id"]]
    done = (await ops.post("/ops/poison/replay", json={"filter": chosen})).json()
    assert (done["replayed"], done["failed"]) == (2, [])
    assert (await ops.get(f"/ops/poison/{other}")).json()["state"] == "kept"


class Refusing:
    def sub(self, *_: object) -> str:
        raise AssertionError("a cause is computed")


async def test_the_choice_of_poison_by_cause_leaves_the_event_loop_free(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cause takes up to a millisecond, and there may be thousands of records: none is computed from its error."""
    found = await a_poison_record(vase_gateway, "Vase bleu", "ValueError: no price")
    await a_poison_record(vase_gateway, "Vase vert", "ValueError: no name")
    monkeypatch.setattr(causes, "_VARIABLE", Refusing())
    wanted = {"filter": {"cause": "ValueError: no price"}, "dry_run": True}
    assert (await ops.post("/ops/poison/replay", json=wanted)).json()["ids"] == [str(found)]


async def test_a_record_beyond_the_ten_thousandth_is_found_by_its_cause(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    await vase_gateway.pool.execute(
        """
        INSERT INTO poison (id, topic, partition, "offset", digest, headers, record_time, error, cause, created_at)
        SELECT gen_random_uuid(), 'vases', 1, number, '', '[]', 0, 'ValueError: no name', 'ValueError: no name',
            now() - interval '1 hour'
        FROM generate_series(1, 10001) AS number
        """
    )
    newest = await a_poison_record(vase_gateway, "Vase bleu", "ValueError: no price")
    wanted = {"filter": {"cause": "ValueError: no price"}, "dry_run": True}
    assert (await ops.post("/ops/poison/replay", json=wanted)).json()["ids"] == [str(newest)]


async def test_a_record_that_a_version_before_stored_is_found_as_not_classified(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    record = await a_poison_record(vase_gateway, "Vase bleu")
    await vase_gateway.pool.execute("UPDATE poison SET cause = ''")
    cause = (await ops.get(f"/ops/poison/{record}")).json()["cause"]
    wanted = {"filter": {"cause": cause}, "dry_run": True}
    assert (cause, (await ops.post("/ops/poison/replay", json=wanted)).json()["ids"]) == (
        "not classified",
        [str(record)],
    )


async def test_a_discarded_poison_record_is_shown_with_its_reason_and_never_processed(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    record = await a_poison_record(vase_gateway, "Vase bleu")
    body = {"reason": "a test message"}
    discarded = (await ops.post(f"/ops/poison/{record}/discard", json=body)).json()
    assert (discarded["state"], discarded["discarded_reason"]) == ("discarded", "a test message")
    for action in ("discard", "replay"):
        answer = await ops.post(f"/ops/poison/{record}/{action}", json=body if action == "discard" else None)
        assert (answer.status_code, answer.json()["error"]["details"]) == (409, {"state": "discarded"})
    assert (await ops.post(f"/ops/poison/{uuid4()}/discard", json=body)).status_code == 404
    assert [each["id"] for each in (await ops.get("/ops/poison?state=discarded")).json()["data"]] == [str(record)]
    assert (await ops.get("/ops/status")).json()["poison"] == []
    assert [each[:2] for each in await audit_transitions(vase_gateway, "POISON", record)] == [("KEPT", "DISCARDED")]


async def test_an_event_of_the_outbox_is_shown_with_its_data(vase_gateway: VaseGateway, ops: httpx.AsyncClient) -> None:
    position = await a_parked_event(vase_gateway)
    event = (await ops.get(f"/ops/outbox/{position}")).json()
    assert (event["type"], event["state"], event["last_error"]) == ("vase.made", "parked", "too large")
    assert event["payload"] == {}
    assert (await ops.get("/ops/outbox/999")).status_code == 404


async def test_a_replayed_parked_event_is_pending_again(vase_gateway: VaseGateway, ops: httpx.AsyncClient) -> None:
    position = await a_parked_event(vase_gateway)
    [list_entry] = (await ops.get("/ops/outbox?state=parked")).json()["data"]
    assert (list_entry["position"], list_entry["last_error"]) == (position, "too large")
    assert (await ops.post(f"/ops/outbox/{position}/replay")).json()["state"] == "pending"
    assert (await ops.post(f"/ops/outbox/{position}/replay")).status_code == 409
    assert (await ops.post("/ops/outbox/999/replay")).status_code == 404
    assert (await ops.post(f"/ops/outbox/+{position}/replay")).status_code == 422
    assert (await ops.get("/ops/outbox")).json()["data"] == []
    assert [each[:2] for each in await audit_transitions(vase_gateway, "OUTBOX", UUID(list_entry["id"]))] == [
        ("PARKED", "PENDING")
    ]


async def test_a_new_key_is_shown_once_works_immediately_and_can_be_revoked(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    customer = str(uuid4())
    new_key = (await ops.post("/ops/api-keys", json={"name": "Anna", "role": "client", "customer_id": customer})).json()
    async with vase_gateway.client(None, **{"X-API-Key": new_key["key"]}) as anna:
        assert (await anna.get("/vases")).status_code == 200
    keys = (await ops.get("/ops/api-keys")).json()["data"]
    assert new_key["key"].partition(".")[2] not in str(keys)
    assert (keys[-1]["prefix"], keys[-1]["customer_id"]) == (new_key["prefix"], customer)
    created = [each["created_at"] for each in keys]
    assert created == sorted(created)
    assert (await ops.delete(f"/ops/api-keys/{new_key['prefix']}")).status_code == 200
    assert (await ops.delete(f"/ops/api-keys/{new_key['prefix']}")).status_code == 409
    assert (await ops.delete("/ops/api-keys/nobody")).status_code == 404
    states = [
        each[:2] for each in await audit_transitions(vase_gateway, "API_KEY", api_keys.entity_id(new_key["prefix"]))
    ]
    assert states == [(None, "ACTIVE"), ("ACTIVE", "REVOKED")]


async def test_a_new_key_gets_an_expiry_and_a_rate_limit_and_the_list_shows_its_last_use(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_uses, "SECONDS_BETWEEN_WRITES", 0.01)
    body = {"name": "Anna", "role": "client", "expires_at": "2999-12-31T23:00:00+01:00", "rate_limit": 2}
    new_key = (await ops.post("/ops/api-keys", json=body)).json()
    assert (new_key["expires_at"], new_key["rate_limit"]) == ("2999-12-31T22:00:00Z", 2)
    async with vase_gateway.client(None, **{"X-API-Key": new_key["key"]}) as anna:
        answers = [await anna.get("/vases") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"default";q=2;w=60'
    [uses] = [each for each in vase_gateway.app.state.components if each.name == "key uses"]

    async def find_used() -> dict[str, Any] | None:
        keys = (await ops.get("/ops/api-keys")).json()["data"]
        return next((key for key in keys if key["prefix"] == new_key["prefix"] and key["last_used_at"]), None)

    async with running(uses.run):
        listed = await eventually(find_used)
    assert listed is not None
    assert (listed["expires_at"], listed["rate_limit"]) == ("2999-12-31T22:00:00Z", 2)
    assert datetime.fromisoformat(listed["last_used_at"]) >= datetime.fromisoformat(listed["created_at"])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"expires_at": "2026-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ({"expires_at": 32472144000}, "expires_at"),
        ({"rate_limit": -1}, "rate_limit"),
        ({"rate_limit": 1_000_001}, "rate_limit"),
    ],
)
async def test_a_wrong_expiry_or_rate_limit_of_a_key_is_rejected(
    ops: httpx.AsyncClient, change: dict[str, object], field: str
) -> None:
    answer = await ops.post("/ops/api-keys", json={"name": "Anna", "role": "client", **change})
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (422, field)


async def test_api_keys_are_paged(vase_gateway: VaseGateway, ops: httpx.AsyncClient) -> None:
    for number in range(3):
        await ops.post("/ops/api-keys", json={"name": f"Anna {number}", "role": "client"})
    pages = [(await ops.get(f"/ops/api-keys?limit=4&offset={offset}")).json() for offset in (0, 4)]
    assert [len(page["data"]) for page in pages] == [4, 4]
    assert [page["pagination"]["has_more"] for page in pages] == [True, False]
    assert len({key["prefix"] for page in pages for key in page["data"]}) == pages[0]["pagination"]["total"] == 8


async def test_a_job_with_many_attempts_shows_the_latest_ones(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    job = await a_dead_job(vase_gateway)
    await vase_gateway.pool.execute(
        "INSERT INTO job_attempts (job_id, number, worker) SELECT $1, number, 'w' FROM generate_series(2, 5000) number",
        job,
    )
    numbers = [each["number"] for each in (await ops.get(f"/ops/jobs/{job}")).json()["attempts_made"]]
    assert numbers == list(range(4901, 5001))


async def test_lists_can_be_paged_from_any_offset(vase_gateway: VaseGateway, ops: httpx.AsyncClient) -> None:
    await vase_gateway.pool.execute(
        "INSERT INTO jobs (id, kind, business_key, payload, traceparent, created_at)"
        " SELECT gen_random_uuid(), 'many', number, '{}', 't', now() + number * interval '1 s'"
        " FROM generate_series(1, 250) number"
    )
    business_keys: list[str] = []
    for offset in (0, 100, 200):
        page = (await ops.get(f"/ops/jobs?kind=many&limit=100&offset={offset}")).json()
        assert (page["pagination"].pop("next_cursor") is not None) == (offset < 200)
        assert page["pagination"] == {"limit": 100, "offset": offset, "total": 250, "has_more": offset < 200}
        business_keys += [job["business_key"] for job in page["data"]]
    assert business_keys == [str(number) for number in range(250, 0, -1)]


async def test_the_secret_of_a_new_key_is_not_stored_for_a_repeated_request(vase_gateway: VaseGateway) -> None:
    async with vase_gateway.client("ops", **{"Idempotency-Key": "a key for Anna"}) as ops:
        first, again = [await ops.post("/ops/api-keys", json={"name": "Anna", "role": "client"}) for _ in range(2)]
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json() == {**first.json(), "key": None}
    async with reading(vase_gateway.pool) as connection:
        [row] = await connection.fetch("SELECT body FROM idempotency_keys")
    assert first.json()["key"].partition(".")[2] not in row["body"].decode()


@pytest.mark.parametrize(
    "key",
    [
        {"name": "", "role": "client"},
        {"name": "Anna\nrevoked", "role": "client"},
        {"name": "Anna", "role": "queen"},
        {"name": "Anna", "role": "ops", "customer_id": str(uuid4())},
        {"name": "Anna", "role": "client", "expires": "never"},
    ],
)
async def test_an_invalid_api_key_request_is_rejected(ops: httpx.AsyncClient, key: dict[str, str]) -> None:
    assert (await ops.post("/ops/api-keys", json=key)).status_code == 422


async def test_discrepancies_are_listed_by_state_and_check_for_managers_too(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    await vase_gateway.pool.execute(
        'INSERT INTO discrepancies (id, "check", subject, key, details, resolved_at) '
        "VALUES ($1, 'cracked_vase', 'vase-1', 'key-1', '{\"pieces\": 3}', NULL), "
        "($2, 'cracked_vase', 'vase-2', NULL, '{}', now()), ($3, 'lost_vase', 'vase-3', NULL, '{}', NULL)",
        *(uuid4() for _ in range(3)),
    )

    async def subjects(query: str) -> set[str]:
        return {each["subject"] for each in (await ops.get(f"/ops/discrepancies{query}")).json()["data"]}

    assert await subjects("") == {"vase-1", "vase-2", "vase-3"}
    assert await subjects("?state=open") == {"vase-1", "vase-3"}
    assert await subjects("?state=resolved") == {"vase-2"}
    assert await subjects("?state=open&check=cracked_vase") == {"vase-1"}
    async with vase_gateway.client(Role.MANAGER) as manager:
        [row] = (await manager.get("/ops/discrepancies?check=cracked_vase&state=open")).json()["data"]
    assert (row["check"], row["key"], row["details"], row["occurrences"]) == ("cracked_vase", "key-1", {"pieces": 3}, 1)
    async with vase_gateway.client(Role.CLIENT) as client:
        assert (await client.get("/ops/discrepancies")).status_code == 403


async def test_a_discrepancy_is_not_acknowledged_with_other_details_than_were_shown(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    cracked = uuid4()
    await vase_gateway.pool.execute(
        'INSERT INTO discrepancies (id, "check", subject, details, volatile_details) '
        "VALUES ($1, 'cracked_vase', 'vase-1', $2, '{seen}')",
        *(cracked, {"glaze": "blue", "pieces": 2, "width": "1.50", "seen": 1}),
    )
    [shown] = (await ops.get("/ops/discrepancies?state=open")).json()["data"]
    path = f"/ops/discrepancies/{cracked}/acknowledge"

    async def answer(**changes: object) -> httpx.Response:
        body = {"reason": "it was sold as cracked", "details": {**shown["details"], **changes}}
        return await ops.post(path, json=body)

    for changes in ({"pieces": 3}, {"pieces": "2"}, {"new": None}, {"pieces": float("1e300")}):
        stale = await answer(**changes)
        assert (stale.status_code, stale.json()["error"]["details"]) == (409, {"state": "open"}), changes
    assert (await ops.post(path, json={"reason": "a", "details": {}})).status_code == 409
    assert (await ops.post(path, json={"reason": "a", "details": []})).status_code == 422
    assert (await ops.get("/ops/discrepancies?state=open")).json()["data"] == [shown]
    assert (await answer(seen=7)).json()["acknowledged_reason"] == "it was sold as cracked", "a count changes often"


async def test_a_discrepancy_is_acknowledged_once_with_a_reason_and_is_then_not_open(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    cracked, mended = uuid4(), uuid4()
    await vase_gateway.pool.execute(
        'INSERT INTO discrepancies (id, "check", subject, key, details, resolved_at) '
        "VALUES ($1, 'cracked_vase', 'vase-1', 'key-1', '{}', NULL), ($2, 'cracked_vase', 'vase-2', NULL, '{}', now())",
        *(cracked, mended),
    )
    path, body = f"/ops/discrepancies/{cracked}/acknowledge", {"reason": "it was sold as cracked"}
    async with vase_gateway.client(Role.MANAGER) as manager:
        assert (await manager.post(path, json=body)).status_code == 403
    assert (await ops.post(path, json={"reason": " "})).status_code == 422

    found = (await ops.post(path, json=body)).json()
    assert (found["acknowledged_reason"], found["resolved_at"]) == ("it was sold as cracked", None)
    assert found["acknowledged_at"] is not None

    again = await ops.post(path, json=body)
    assert (again.status_code, again.json()["error"]["details"]) == (409, {"state": "acknowledged"})
    resolved = await ops.post(f"/ops/discrepancies/{mended}/acknowledge", json=body)
    assert (resolved.status_code, resolved.json()["error"]["details"]) == (409, {"state": "resolved"})
    assert (await ops.post(f"/ops/discrepancies/{uuid4()}/acknowledge", json=body)).status_code == 404

    async def ids(state: str) -> list[str]:
        return [each["id"] for each in (await ops.get(f"/ops/discrepancies?state={state}")).json()["data"]]

    assert (await ids("open"), await ids("acknowledged"), await ids("resolved")) == ([], [str(cracked)], [str(mended)])
    assert (await ops.get("/ops/status")).json()["discrepancies"] == []
    changes = [each[:2] for each in await audit_transitions(vase_gateway, "DISCREPANCY", cracked)]
    assert changes == [("OPEN", "ACKNOWLEDGED")]
