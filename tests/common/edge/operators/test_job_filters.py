"""A filter of jobs means the same for the list of jobs and for what is replayed or discarded, and reads few rows."""

import httpx
import pytest
from common.text.causes import LONGEST_CAUSE, UNCLASSIFIED
from support.gateway.operator_tasks import a_dead_job, a_poison_record
from support.gateway.vase_service import VaseGateway

STATES = ("ready", "running", "dead", "done", "discarded")
COLD = "kiln <number> is cold"
REASON = {"reason": "the kilns are warm"}
# The second was stored by a version that classified nothing; the third never failed, whatever its state.
A_JOB = """
INSERT INTO jobs (id, kind, business_key, payload, traceparent, state, last_error, cause, failed_at)
VALUES (gen_random_uuid(), 'glaze', $1, '{}', 't', $2, $3, $4, now()) RETURNING id
"""
FAILURES = (("kiln 7 is cold", COLD), ("kiln 8 is cold", ""), (None, ""))


async def shown(ops: httpx.AsyncClient, **filters: str) -> list[str]:
    return [each["id"] for each in (await ops.get("/ops/jobs", params=filters)).json()["data"]]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("cause", [COLD, UNCLASSIFIED])
async def test_a_filter_by_cause_changes_exactly_the_jobs_that_the_list_shows_for_it(
    vase_gateway: VaseGateway, ops: httpx.AsyncClient, state: str, cause: str
) -> None:
    ids = {
        (each, number): await vase_gateway.pool.fetchval(A_JOB, f"{each}-{number}", each, *failure)
        for each in STATES
        for number, failure in enumerate(FAILURES)
        if failure[0] is None or each != "done"
    }
    expected = [str(ids[state, (COLD, UNCLASSIFIED).index(cause)])] if state != "done" else []
    assert await shown(ops, state=state, cause=cause) == expected
    assert await shown(ops, state=state, cause=cause, kind="glaze") == expected
    of_all_states = {str(ids[each, (COLD, UNCLASSIFIED).index(cause)]) for each in STATES if each != "done"}
    assert set(await shown(ops, cause=cause)) == of_all_states
    if state in ("running", "done"):
        return
    route = "/ops/jobs/replay" if state == "discarded" else "/ops/jobs/discard"
    filter_ = {"cause": cause, "state": state}
    dry = (await ops.post(route, json={"filter": filter_, "dry_run": True})).json()
    assert (dry["matched"], dry["ids"]) == (1, expected)
    assert (await ops.post(route, json={"filter": filter_, **REASON})).json()["ids"] == expected
    changed = await vase_gateway.pool.fetch("SELECT id FROM jobs WHERE state <> split_part(business_key, '-', 1)")
    assert [str(row["id"]) for row in changed] == expected


async def test_a_group_with_a_long_cause_is_replayed(vase_gateway: VaseGateway, ops: httpx.AsyncClient) -> None:
    # The cut is behind a blank, and no field of a request may contain the first character.
    error = "\x1b" + "k" * (LONGEST_CAUSE - 1) + " and cold"
    job, record = await a_dead_job(vase_gateway, error), await a_poison_record(vase_gateway, "Vase bleu", error)
    [group] = (await ops.get("/ops/failures")).json()["data"]
    assert await shown(ops, cause=group["cause"]) == [str(job)]
    body = {"filter": {"kind": "glaze", "cause": group["cause"]}, **REASON}
    assert (await ops.post("/ops/jobs/replay", json=body)).json()["ids"] == [str(job)]
    [poison] = (await ops.get("/ops/poison")).json()["data"]
    body = {"filter": {"cause": poison["cause"]}}
    assert (await ops.post("/ops/poison/replay", json=body)).json()["ids"] == [str(record)]
