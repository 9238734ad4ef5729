"""What the reconciler found: listed and acknowledged."""

from uuid import uuid4

import httpx
from common.access.auth import Role
from support.gateway.operator_tasks import (
    audit_transitions,
)
from support.gateway.vase_service import VaseGateway


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
