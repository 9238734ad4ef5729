"""Poison records of a consumer: shown, replayed and discarded by operators."""

from base64 import b64decode
from uuid import uuid4

import httpx
import pytest
from common.audit.actor import Actor
from common.database.transactions import transaction
from common.operators import poison_commands
from common.operators.poison_commands import PoisonChoice
from common.text import causes
from support.events.traceparent import TRACEPARENT
from support.gateway.operator_tasks import (
    a_poison_record,
    audit_transitions,
)
from support.gateway.vase_service import VaseGateway


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
