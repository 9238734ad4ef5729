"""The sliding window of the rate limit, by a clock that the test sets, and over HTTP."""

import asyncio
from collections.abc import Collection
from typing import Any
from uuid import uuid4

import pytest
from common.access import api_keys
from common.database.statements import Connection
from common.edge.admission.rate_limit import REMEMBERED_CLIENTS, RateLimit
from common.errors import Code, Problem
from httpx import AsyncClient
from support.gateway.vase_service import open_vase_gateway
from support.postgres.databases import Database


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_window_moves_with_the_requests() -> None:
    clock = Clock()
    limit = RateLimit(3, clock)
    for clock.now in (1000.0, 1020.0, 1040.0):
        limit.hit("anna")
    clock.now = 1059.0
    with pytest.raises(Problem) as raised:
        limit.hit("anna")
    assert raised.value.code is Code.RATE_LIMITED
    assert raised.value.retry_after == 1.0
    clock.now = 1060.0
    allowance = limit.hit("anna")
    assert allowance is not None
    assert (allowance.remaining, allowance.reset) == (0, 20.0)
    with pytest.raises(Problem):
        limit.hit("anna")


def test_rejected_requests_do_not_count_and_clients_have_separate_limits() -> None:
    clock = Clock()
    limit = RateLimit(1, clock)
    limit.hit("anna")
    for clock.now in range(1001, 1060):
        with pytest.raises(Problem):
            limit.hit("anna")
    limit.hit("boris")
    clock.now = 1060.0
    limit.hit("anna")


def test_a_limit_of_zero_admits_all_requests() -> None:
    limit = RateLimit(0)
    assert [limit.hit("anna") for _ in range(1000)] == [None] * 1000


def test_a_client_may_have_a_limit_of_its_own() -> None:
    limit = RateLimit(1, Clock())
    for _ in range(3):
        limit.hit("anna", 3)
        assert limit.hit("zoë", 0) is None
    with pytest.raises(Problem, match="More than 3 requests"):
        limit.hit("anna", 3)
    limit.hit("maria")
    with pytest.raises(Problem, match="More than 1 requests"):
        limit.hit("maria")


def test_inactive_clients_are_removed() -> None:
    clock = Clock()
    limit = RateLimit(5, clock)
    for number in range(10_000):
        limit.hit(f"client {number}")
    clock.now += 61
    limit.hit("anna")
    assert len(limit) == 1


async def test_response_headers_state_the_remaining_requests_and_the_reset_time(database: Database) -> None:
    async with open_vase_gateway(database, rate_limit_per_minute=3) as vase_gateway, vase_gateway.client() as client:
        answers = [await client.get("/vases") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["RateLimit-Policy"] == '"default";q=3;w=60'
        assert answers[2].headers["RateLimit"].startswith('"default";r=0;t=')
        assert answers[3].json()["error"]["code"] == "RATE_LIMITED"
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
        assert answers[3].headers["RateLimit"] == f'"default";r=0;t={answers[3].headers["Retry-After"]}'
        assert answers[3].headers["RateLimit-Policy"] == '"default";q=3;w=60'
        assert (await client.get("/health")).status_code != 429
        async with vase_gateway.client("manager") as manager:
            assert (await manager.get("/vases")).status_code == 200


async def test_forbidden_requests_count_against_the_limit(database: Database) -> None:
    async with (
        open_vase_gateway(database, rate_limit_per_minute=2) as vase_gateway,
        vase_gateway.client("payments") as client,
    ):
        answers = [(await client.post("/vases", json={})).status_code for _ in range(3)]
        assert answers == [403, 403, 429]


async def test_the_number_of_remembered_clients_is_bounded() -> None:
    limit = RateLimit(1)
    for number in range(30_000):
        limit.hit(f"client {number}")
    assert len(limit) == REMEMBERED_CLIENTS
    with pytest.raises(Problem):
        limit.hit("client 29999")


async def try_keys(client: AsyncClient, *keys: str) -> list[int]:
    return [(await client.get("/vases", headers={"X-API-Key": key})).status_code for key in keys]


def invalid_keys(number: int) -> list[str]:
    return [f"client_{uuid4().hex}.{'x' * 40}" for _ in range(number)]


async def test_invalid_keys_are_limited_without_blocking_valid_keys_of_the_same_address(database: Database) -> None:
    """Behind a proxy that is not in the settings, all clients have one address."""
    async with (
        open_vase_gateway(database, rate_limit_per_minute=3, api_key_cache_seconds=0) as vase_gateway,
        vase_gateway.client(None) as client,
    ):
        async with vase_gateway.client("manager") as manager:
            assert (await manager.get("/vases")).status_code == 200
        assert await try_keys(client, *invalid_keys(3), "no key at all", *invalid_keys(1)) == [401, 401, 401, 429, 429]
        for role in ("manager", "client", "ops"):  # keys that were not used before
            async with vase_gateway.client(role) as key_client:
                assert (await key_client.get("/vases")).status_code == 200


async def test_wrong_secrets_of_one_key_are_limited_and_block_only_that_key(database: Database) -> None:
    async with (
        open_vase_gateway(database, rate_limit_per_minute=3) as vase_gateway,
        vase_gateway.client(None) as client,
    ):
        prefix = vase_gateway.keys["client"].partition(".")[0]
        assert await try_keys(client, *[f"{prefix}.{'x' * 40}"] * 4) == [401, 401, 401, 429]
        assert await try_keys(client, vase_gateway.keys["client"]) == [429], "otherwise the secret could be guessed"
        assert await try_keys(client, vase_gateway.keys["manager"], vase_gateway.keys["ops"]) == [200, 200]


async def test_a_key_in_use_stays_accepted_while_its_secret_is_guessed(database: Database) -> None:
    async with (
        open_vase_gateway(database, rate_limit_per_minute=3, api_key_cache_seconds=0) as vase_gateway,
        vase_gateway.client(None) as client,
    ):
        key = vase_gateway.keys["client"]
        assert await try_keys(client, key) == [200]
        await try_keys(client, *[f"{key.partition('.')[0]}.{'x' * 40}"] * 5)
        assert await try_keys(client, key) == [200]


async def test_many_invalid_keys_cause_only_a_few_queries(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without batching, each key would cause a query: 300."""
    queries = 0

    async def find_counted(connection: Connection, prefixes: Collection[str]) -> Any:
        nonlocal queries
        queries += 1
        return await find_valid_among(connection, prefixes)

    find_valid_among = api_keys.find_valid_among
    async with (
        open_vase_gateway(database, rate_limit_per_minute=3) as vase_gateway,
        vase_gateway.client(None) as client,
    ):
        await try_keys(client, *invalid_keys(3))
        monkeypatch.setattr(api_keys, "find_valid_among", find_counted)
        monkeypatch.delattr(api_keys, "find_valid")
        answers = await asyncio.gather(
            *(try_keys(client, key) for key in (*invalid_keys(300), vase_gateway.keys["ops"]))
        )
        assert [status for [status] in answers] == [429] * 300 + [200]
        assert 1 <= queries <= 20


async def test_without_a_database_unknown_keys_get_503(database: Database) -> None:
    async with (
        open_vase_gateway(database, rate_limit_per_minute=3) as vase_gateway,
        vase_gateway.client(None) as client,
    ):
        await try_keys(client, *invalid_keys(3))
        await vase_gateway.pool.close()
        answers = await asyncio.gather(*(try_keys(client, key) for key in invalid_keys(10)))
        assert answers == [[503]] * 10
