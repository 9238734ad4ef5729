"""Operators make, list, limit and revoke API keys."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from common.access import api_keys, key_uses
from common.database.transactions import reading
from support.gateway.operator_tasks import (
    audit_transitions,
)
from support.gateway.vase_service import VaseGateway
from support.running import running
from support.waiting import eventually


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
