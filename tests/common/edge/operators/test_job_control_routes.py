"""Operators discard jobs, replay or discard many by their cause, and pause kinds of jobs."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from common.access import api_keys
from common.access.auth import Role
from common.jobs import queue
from common.jobs.control import MOST_JOBS
from support.gateway.operator_tasks import (
    a_dead_job,
    a_done_job,
    a_job,
    audit_transitions,
    claim,
)
from support.gateway.vase_service import VaseGateway

REASON = {"reason": "the vase is sold"}


async def states(vase_gateway: VaseGateway) -> dict[str, str]:
    return {row["business_key"]: row["state"] for row in await vase_gateway.pool.fetch("SELECT * FROM jobs")}


async def cold_kilns(vase_gateway: VaseGateway, number: int) -> list[str]:
    return [
        str(await a_dead_job(vase_gateway, f"kiln {each} is cold", business_key=f"vase-{each}"))
        for each in range(number)
    ]


async def test_a_discarded_job_is_shown_with_its_reason_is_never_claimed_and_can_be_replayed(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    job = await a_dead_job(vase_gateway)
    operator = str(api_keys.entity_id(vase_gateway.keys["ops"].partition(".")[0]))
    discarded = (await ops.post(f"/ops/jobs/{job}/discard", json=REASON)).json()
    prefix = vase_gateway.keys["ops"].partition(".")[0]
    assert (discarded["state"], discarded["discarded_reason"], discarded["discarded_by"]) == (
        *("discarded", "the vase is sold"),
        prefix,
    )
    assert await queue.claim(vase_gateway.pool, {"glaze": 1}, lease=timedelta(seconds=9), worker="w") == []
    assert (await ops.get("/ops/failures")).json()["data"] == []
    assert [each["id"] for each in (await ops.get("/ops/jobs?state=discarded")).json()["data"]] == [str(job)]
    again = await ops.post(f"/ops/jobs/{job}/discard", json=REASON)
    assert (again.status_code, again.json()["error"]["details"]) == (409, {"state": "discarded"})
    replayed = (await ops.post(f"/ops/jobs/{job}/replay")).json()
    assert (replayed["state"], replayed["failures"], replayed["discarded_reason"]) == ("ready", 0, None)
    assert await audit_transitions(vase_gateway, "JOB", job) == [
        ("DEAD", "DISCARDED", operator),
        ("DISCARDED", "READY", operator),
    ]


async def test_a_waiting_job_is_discarded_but_not_one_that_runs_or_is_done(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    done, waiting = await a_done_job(vase_gateway, "vase-1"), await a_job(vase_gateway, "vase-2")
    assert (await ops.post(f"/ops/jobs/{waiting}/discard", json=REASON)).json()["state"] == "discarded"
    running = await a_job(vase_gateway, "vase-3")
    await claim(vase_gateway)
    for job, state in ((done, "done"), (running, "running")):
        answer = await ops.post(f"/ops/jobs/{job}/discard", json=REASON)
        assert (answer.status_code, answer.json()["error"]["details"]) == (409, {"state": state})
    assert (await ops.post(f"/ops/jobs/{uuid4()}/discard", json=REASON)).status_code == 404
    assert (await ops.post(f"/ops/jobs/{done}/discard", json={"reason": " "})).status_code == 422


async def test_a_dry_run_shows_the_jobs_and_its_selection_replays_exactly_these(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    cold = await cold_kilns(vase_gateway, 3)
    await a_dead_job(vase_gateway, "the kiln is broken", business_key="jug-1")
    filter_ = {"kind": "glaze", "cause": "kiln <number> is cold"}
    shown = (await ops.post("/ops/jobs/replay", json={"filter": filter_, "dry_run": True})).json()
    assert (shown["matched"], shown["changed"], shown["ids"]) == (3, 3, cold)
    assert shown["groups"] == [{**filter_, "jobs": 3}]
    assert set((await states(vase_gateway)).values()) == {"dead"}

    late = await a_dead_job(vase_gateway, "kiln 9 is cold", business_key="vase-9")
    await ops.post(f"/ops/jobs/{cold[0]}/discard", json=REASON)
    body = {"selection": shown["selection"], "reason": "the kilns are warm", "per_second": 2}
    changed = (await ops.post("/ops/jobs/replay", json=body)).json()
    # A selection names jobs as they were: that somebody has discarded one since then is left as it is.
    assert (changed["changed"], changed["unchanged"], changed["ids"]) == (2, 1, cold[1:])
    discarded, cold = cold[0], cold[1:]
    assert (await ops.get(f"/ops/jobs/{discarded}")).json()["discarded_reason"] == REASON["reason"]
    assert (await ops.get(f"/ops/jobs/{late}")).json()["state"] == "dead"
    due = [datetime.fromisoformat((await ops.get(f"/ops/jobs/{each}")).json()["due_at"]) for each in cold]
    assert [later - due[0] for later in due] == [timedelta(seconds=each / 2) for each in range(2)]
    assert datetime.fromisoformat(changed["last_due_at"]) == due[-1]
    for each in cold:
        [*_, row] = (await ops.get(f"/audit?entity_type=JOB&entity_id={each}&new_state=READY")).json()["data"]
        assert row["metadata"]["operation"] == changed["operation"]
        assert row["metadata"]["reason"] == "the kilns are warm"


async def test_jobs_that_somebody_has_replayed_since_the_dry_run_are_not_discarded(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    cold = await cold_kilns(vase_gateway, 2)
    shown = (await ops.post("/ops/jobs/discard", json={"filter": {"kind": "glaze"}, "dry_run": True})).json()
    assert shown["ids"] == cold
    await ops.post(f"/ops/jobs/{cold[0]}/replay")
    changed = (await ops.post("/ops/jobs/discard", json={"selection": shown["selection"], **REASON})).json()
    assert (changed["changed"], changed["unchanged"], changed["ids"]) == (1, 1, cold[1:])
    assert (await ops.get(f"/ops/jobs/{cold[0]}")).json()["state"] == "ready"


async def test_many_jobs_are_discarded_by_ids_or_by_cause_and_others_are_left_alone(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    cold = await cold_kilns(vase_gateway, 3)
    body = {"filter": {"ids": cold[:1]}, **REASON}
    assert (await ops.post("/ops/jobs/discard", json=body)).json()["ids"] == cold[:1]
    body = {"filter": {"cause": "kiln <number> is cold"}, **REASON}
    assert (await ops.post("/ops/jobs/discard", json=body)).json()["ids"] == cold[1:]
    assert (await ops.post("/ops/jobs/discard", json=body)).json()["matched"] == 0
    waiting = await a_job(vase_gateway, "jug-1")
    assert (await ops.post("/ops/jobs/discard", json={"filter": {"kind": "glaze"}, **REASON})).json()["matched"] == 0
    body = {"filter": {"kind": "glaze", "state": "ready"}, **REASON}
    assert (await ops.post("/ops/jobs/discard", json=body)).json()["ids"] == [str(waiting)]
    body = {"filter": {"kind": "glaze", "state": "discarded"}, **REASON}
    assert (await ops.post("/ops/jobs/replay", json=body)).json()["changed"] == 4


async def test_a_repeated_replay_of_many_with_the_same_key_changes_nothing(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    [job] = await cold_kilns(vase_gateway, 1)
    body, key = {"filter": {"kind": "glaze"}, **REASON}, {"Idempotency-Key": uuid4().hex}
    first = await ops.post("/ops/jobs/replay", json=body, headers=key)
    await vase_gateway.pool.execute("UPDATE jobs SET state = 'dead'")
    again = await ops.post("/ops/jobs/replay", json=body, headers=key)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert (await ops.get(f"/ops/jobs/{job}")).json()["state"] == "dead"


@pytest.mark.parametrize("route", ["replay", "discard"])
async def test_a_repeated_dry_run_with_its_key_has_the_same_selection(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient, route: str
) -> None:
    cold = await cold_kilns(vase_gateway, 1)
    body, key = {"filter": {"kind": "glaze"}, "dry_run": True}, {"Idempotency-Key": uuid4().hex}
    first = await ops.post(f"/ops/jobs/{route}", json=body, headers=key)
    await a_dead_job(vase_gateway, "kiln 9 is cold", business_key="vase-9")
    again = await ops.post(f"/ops/jobs/{route}", json=body, headers=key)
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    change = {"selection": first.json()["selection"], **REASON}
    reused = await ops.post(f"/ops/jobs/{route}", json=change, headers=key)
    assert reused.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert (await ops.post(f"/ops/jobs/{route}", json=change)).json()["ids"] == cold


async def test_ten_thousand_jobs_are_replayed_by_one_request_each_with_an_audit_row(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    await vase_gateway.pool.execute(
        "INSERT INTO jobs (id, kind, business_key, payload, traceparent, state, last_error, cause, failed_at)"
        " SELECT gen_random_uuid(), 'glaze', number, '{}', 't', 'dead', 'cold', 'cold', now() - number * interval '1 s'"
        " FROM generate_series(1, $1) number",
        MOST_JOBS + 1,
    )
    body = {"filter": {"kind": "glaze"}, "dry_run": True}
    shown = (await ops.post("/ops/jobs/replay", json=body)).json()
    assert (shown["matched"], shown["changed"], shown["unchanged"]) == (MOST_JOBS + 1, MOST_JOBS, 1)
    body = {"selection": shown["selection"], **REASON}
    assert (await ops.post("/ops/jobs/replay", json=body)).json()["changed"] == MOST_JOBS
    assert await vase_gateway.pool.fetchval("SELECT count(*) FROM audit WHERE entity_type = 'JOB'") == MOST_JOBS
    assert await vase_gateway.pool.fetchval("SELECT business_key FROM jobs WHERE state = 'dead'") == "1"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filter": {}, **REASON},
        {"filter": {"state": "dead"}, **REASON},
        {"filter": {"kind": "glaze"}},
        {"filter": {"kind": "glaze", "state": "running"}, **REASON},
        {"filter": {"ids": []}, **REASON},
        {"filter": {"kind": "glaze"}, "selection": "s", **REASON},
        {"selection": "made up", **REASON},
        {"selection": "made up", "dry_run": True},
        {"filter": {"kind": "glaze"}, "per_second": 0, **REASON},
        {"filter": {"kind": "glaze"}, "per_second": 0.0099, "dry_run": True},
        {"filter": {"kind": "glaze"}, "per_second": 1000.01, "dry_run": True},
    ],
)
async def test_a_change_of_many_jobs_that_does_not_say_which_or_why_is_rejected(
    ops: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert (await ops.post("/ops/jobs/replay", json=body)).status_code == 422


@pytest.mark.parametrize("per_second", [0.01, 1000])
async def test_both_ends_of_the_documented_range_of_the_pace_are_valid(
    ops: httpx.AsyncClient, per_second: float
) -> None:
    body = {"filter": {"kind": "glaze"}, "per_second": per_second, "dry_run": True}
    assert (await ops.post("/ops/jobs/replay", json=body)).status_code == 200


async def test_jobs_of_a_paused_kind_wait_with_their_due_times_until_it_is_resumed(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    await a_job(vase_gateway, "vase-1")
    await a_job(vase_gateway, "vase-1", kind="fire")
    running = await claim(vase_gateway)
    paused = (await ops.post("/ops/job-kinds/glaze/pause", json={"reason": "the kiln is repaired"})).json()
    assert (paused["paused"], paused["paused_reason"], paused["running"]) == (True, "the kiln is repaired", 1)
    waiting = await a_job(vase_gateway, "vase-2")
    claimed = await queue.claim(vase_gateway.pool, {"glaze": 5, "fire": 5}, lease=timedelta(seconds=9), worker="w")
    assert [job.kind for job in claimed] == ["fire"]
    again = await ops.post("/ops/job-kinds/glaze/pause", json={"reason": "the kiln is repaired"})
    assert (again.status_code, again.json()["error"]["details"]) == (409, {"kind": "glaze", "state": "paused"})
    status = (await ops.get("/ops/status")).json()
    assert {each["kind"]: each["paused"] for each in status["jobs"]} == {"glaze": True, "fire": False}

    assert (await ops.post("/ops/job-kinds/glaze/resume")).json()["paused"] is False
    assert (await ops.post("/ops/job-kinds/glaze/resume")).status_code == 409
    job = await claim(vase_gateway)
    assert (job.id, job.attempt, job.failures) == (waiting, 1, 0)
    assert running.id != waiting
    [entity] = {row["entity_id"] for row in await vase_gateway.pool.fetch("SELECT * FROM audit")}
    assert [each[:2] for each in await audit_transitions(vase_gateway, "JOB_KIND", UUID(str(entity)))] == [
        ("ACTIVE", "PAUSED"),
        ("PAUSED", "ACTIVE"),
    ]


async def test_a_kind_without_jobs_can_be_neither_paused_nor_resumed(ops: httpx.AsyncClient) -> None:
    assert (await ops.post("/ops/job-kinds/gloze/pause", json=REASON)).status_code == 404
    assert (await ops.post("/ops/job-kinds/gloze/resume")).status_code == 404


async def test_only_operators_may_change_jobs_and_kinds(vase_gateway: VaseGateway) -> None:
    paths = (
        "jobs/replay",
        "jobs/discard",
        f"jobs/{uuid4()}/discard",
        "job-kinds/glaze/pause",
        "job-kinds/glaze/resume",
    )
    for role in set(Role) - {Role.OPS}:
        async with vase_gateway.client(role) as client:
            assert {(await client.post(f"/ops/{path}", json=REASON)).status_code for path in paths} == {403}
