"""Jobs and events of the outbox: who may see them, how they are listed, shown and replayed."""

from uuid import UUID, uuid4

import httpx
from common.access import api_keys
from common.access.auth import Role
from support.gateway.operator_tasks import (
    a_dead_job,
    a_parked_event,
    audit_transitions,
)
from support.gateway.vase_service import VaseGateway


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
