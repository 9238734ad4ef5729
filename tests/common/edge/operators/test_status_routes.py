"""The status of a service, failed work by its cause, and the filters of the list of jobs."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
from common.access.auth import Role
from common.database.transactions import transaction
from common.jobs import queue
from common.jobs.alerts import Alert, Alerts
from support.gateway.operator_tasks import (
    SERVICE,
    a_dead_job,
    a_done_job,
    a_job,
    a_parked_event,
    a_retrying_job,
)
from support.gateway.vase_service import VaseGateway


async def failures(ops: httpx.AsyncClient) -> list[dict[str, Any]]:
    document: dict[str, Any] = (await ops.get("/ops/failures")).json()
    assert document["jobs"] == sum(each["jobs"] for each in document["data"])
    return list(document["data"])


async def test_failed_jobs_are_grouped_by_kind_cause_and_whether_they_are_tried_again(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    cold = [await a_dead_job(vase_gateway, f"kiln {n} is cold", business_key=f"vase-{n}") for n in range(3)]
    broken = await a_dead_job(vase_gateway, "the kiln is broken", business_key="vase-4")
    other_kind = await a_dead_job(vase_gateway, "kiln 7 is cold", business_key="vase-5", kind="fire")
    retrying = [await a_retrying_job(vase_gateway, f"kiln {n} is cold", business_key=f"jug-{n}") for n in range(2)]
    await a_done_job(vase_gateway, "bowl-1")
    groups = await failures(ops)
    assert [(each["kind"], each["cause"], each["state"], each["jobs"], each["example_id"]) for each in groups] == [
        ("glaze", "kiln <number> is cold", "dead", 3, str(cold[-1])),
        ("fire", "kiln <number> is cold", "dead", 1, str(other_kind)),
        ("glaze", "the kiln is broken", "dead", 1, str(broken)),
        ("glaze", "kiln <number> is cold", "retrying", 2, str(retrying[-1])),
    ]
    assert groups[0]["oldest"] < groups[0]["newest"]


async def test_a_failure_that_an_older_worker_stored_is_not_classified_and_can_be_found(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    job = await a_dead_job(vase_gateway)
    await vase_gateway.pool.execute("UPDATE jobs SET cause = '', failed_at = NULL")
    [group] = await failures(ops)
    assert (group["cause"], group["oldest"], group["example_id"]) == ("not classified", None, str(job))
    found = (await ops.get("/ops/jobs", params={"cause": group["cause"]})).json()["data"]
    assert [(each["id"], each["cause"]) for each in found] == [(str(job), "not classified")]


async def test_jobs_are_found_by_business_key_and_by_cause(vase_gateway: VaseGateway, ops: httpx.AsyncClient) -> None:
    glazed = await a_dead_job(vase_gateway, "kiln 1 is cold", business_key="vase-1")
    fired = await a_done_job(vase_gateway, "vase-1", kind="fire")
    await a_dead_job(vase_gateway, "the kiln is broken", business_key="vase-2")

    async def found(**query: str) -> set[str]:
        page = (await ops.get("/ops/jobs", params=query)).json()
        assert page["pagination"]["total"] == len(page["data"])
        return {each["id"] for each in page["data"]}

    assert await found(business_key="vase-1") == {str(glazed), str(fired)}
    assert await found(business_key="vase-1", kind="fire") == {str(fired)}
    assert await found(business_key="vase-3") == set()
    assert await found(cause="kiln <number> is cold") == {str(glazed)}
    assert await found(cause="kiln <number> is cold", state="ready") == set()


async def test_a_job_is_shown_with_the_start_and_the_duration_of_its_latest_attempt(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient
) -> None:
    waiting, done = await a_job(vase_gateway, "vase-2", kind="fire"), await a_done_job(vase_gateway, "vase-1")
    await vase_gateway.pool.execute(
        "UPDATE job_attempts SET started_at = finished_at - interval '1500 ms' WHERE job_id = $1", done
    )
    jobs = {each["id"]: each for each in (await ops.get("/ops/jobs")).json()["data"]}
    assert (jobs[str(done)]["seconds"], jobs[str(done)]["cause"]) == (1.5, None)
    assert jobs[str(done)]["started_at"] < jobs[str(done)]["finished_at"]
    assert (jobs[str(waiting)]["started_at"], jobs[str(waiting)]["seconds"]) == (None, None)
    assert (await ops.get(f"/ops/jobs/{done}")).json()["seconds"] == 1.5


async def test_the_status_shows_what_waits_and_what_failed(vase_gateway: VaseGateway, ops: httpx.AsyncClient) -> None:
    await a_parked_event(vase_gateway)
    await vase_gateway.pool.execute(
        'INSERT INTO poison (id, topic, partition, "offset", digest, headers, record_time, error) '
        "VALUES ($1, 'vases', 0, 7, '', '[]', 0, 'unreadable')",
        uuid4(),
    )
    await a_done_job(vase_gateway, "vase-1")
    await a_dead_job(vase_gateway, business_key="vase-2")
    await a_retrying_job(vase_gateway, "cold", business_key="vase-3")
    await a_job(vase_gateway, "vase-4", kind="fire")
    async with transaction(vase_gateway.pool) as connection:
        await Alerts("workshop", ("mail",)).enqueue(connection, Alert("job-dead:glaze", "vase-2", "glaze failed", {}))
        await connection.execute(
            "INSERT INTO discrepancies (id, \"check\", subject, details) VALUES ($1, 'lost_vase', 'vase-3', '{}')",
            uuid4(),
        )
        await connection.execute(
            "INSERT INTO consumer_positions (topic, partition, position, lag, reported_at) "
            "VALUES ('vases', 1, 9, 4, now())"
        )
    status = (await ops.get("/ops/status")).json()
    assert status["service"] == SERVICE.name
    assert (status["outbox"]["pending"], status["outbox"]["parked"]) == (0, 1)
    [position] = status["consumers"]
    assert (position["topic"], position["partition"], position["position"], position["lag"]) == ("vases", 1, 9, 4)
    jobs = {each["kind"]: each for each in status["jobs"]}
    assert list(jobs) == ["alert", "fire", "glaze"]
    names = ("ready", "due", "retrying", "running", "dead", "discarded", "done_recently", "paused")
    assert [jobs["glaze"][name] for name in names] == [1, 0, 1, 0, 1, 0, 1, False]
    assert [jobs["fire"][name] for name in names] == [1, 1, 0, 0, 0, 0, 0, False]
    assert jobs["fire"]["oldest_due_at"] is not None
    assert [(each["topic"], each["kept"]) for each in status["poison"]] == [("vases", 1)]
    assert [(each["check"], each["open"]) for each in status["discrepancies"]] == [("lost_vase", 1)]
    [alert] = status["alerts"]
    assert (alert["title"], alert["state"], alert["channel"]) == ("glaze failed", "ready", "mail")
    assert (await ops.get("/ops/job-kinds")).json()["data"] == status["jobs"]


async def test_the_status_of_an_empty_service_is_empty(ops: httpx.AsyncClient) -> None:
    status = (await ops.get("/ops/status")).json()
    assert [status[name] for name in ("consumers", "jobs", "poison", "discrepancies", "alerts")] == [[]] * 5
    assert status["outbox"] == {"pending": 0, "held_back": 0, "parked": 0, "oldest_age_seconds": None}
    assert await failures(ops) == []


async def test_managers_may_read_the_status_but_not_the_jobs(vase_gateway: VaseGateway) -> None:
    async with vase_gateway.client(Role.MANAGER) as manager:
        paths = ("status", "failures", "job-kinds", "jobs")
        assert [(await manager.get(f"/ops/{path}")).status_code for path in paths] == [200, 403, 403, 403]


async def test_a_running_job_is_counted_as_running(vase_gateway: VaseGateway, ops: httpx.AsyncClient) -> None:
    await a_job(vase_gateway)
    await queue.claim(vase_gateway.pool, {"glaze": 1}, lease=timedelta(seconds=9), worker="kiln-1")
    [glaze] = (await ops.get("/ops/job-kinds")).json()["data"]
    assert (glaze["running"], glaze["ready"], glaze["oldest_due_at"]) == (1, 0, None)
