"""The rate limit that processes share: never more than the limit, few queries, and what holds without the database."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from common.database.transactions import Pool
from common.edge.admission import shared_rate_limit
from common.edge.admission.rate_limit import Allowance
from common.edge.admission.rate_limit_leases import VALID_SECONDS, Lease, lease
from common.edge.admission.shared_rate_limit import PAUSE_SECONDS, SharedRateLimit
from common.errors import Code, Problem
from support.gateway.vase_service import open_vase_gateway
from support.metrics.moved import moves
from support.postgres.databases import Database, MakeDatabase
from support.processes.gateways import KEY, add_key, running_gateways
from support.waiting import time_passes

LIMIT = 50


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def try_to_take(shared: SharedRateLimit, client: str = "anna", limit: int = LIMIT) -> Allowance | Problem | None:
    try:
        return await shared.take(client, limit)
    except Problem as problem:
        return problem


async def admitted(shared: SharedRateLimit, requests: int, client: str = "anna") -> int:
    results = [await try_to_take(shared, client) for _ in range(requests)]
    return sum(isinstance(each, Allowance) for each in results)


async def test_one_process_admits_exactly_the_limit(pool: Pool) -> None:
    shared = SharedRateLimit(pool)
    results = [await try_to_take(shared) for _ in range(LIMIT + 5)]
    assert [isinstance(each, Allowance) for each in results] == [True] * LIMIT + [False] * 5
    remaining = [each.remaining for each in results if isinstance(each, Allowance)]
    assert (remaining[0], remaining[-1]) == (LIMIT - 1, 0)
    refusal = results[-1]
    assert isinstance(refusal, Problem)
    assert refusal.code is Code.RATE_LIMITED
    assert refusal.details == {"limit": LIMIT, "window_seconds": 60}
    assert refusal.retry_after is not None
    assert 50 < refusal.retry_after <= 60 + VALID_SECONDS + 1


async def test_several_processes_together_admit_the_limit_less_what_they_hold(pool: Pool) -> None:
    processes = [SharedRateLimit(pool) for _ in range(4)]
    results = await asyncio.gather(*(try_to_take(processes[number % 4]) for number in range(4 * LIMIT)))
    number = sum(isinstance(each, Allowance) for each in results)
    assert number == LIMIT, "concurrent requests lease exactly as many as wait"


async def test_what_a_process_does_not_use_is_returned(pool: Pool) -> None:
    clock = Clock()
    first, second = SharedRateLimit(pool, clock), SharedRateLimit(pool, clock)
    assert await admitted(first, 12) == 12
    held = await admitted(second, LIMIT)
    assert LIMIT - 12 - LIMIT // 10 < held <= LIMIT - 12
    clock.now += VALID_SECONDS
    await first.give_back()
    await second.give_back()
    assert await admitted(second, LIMIT) == LIMIT - 12 - held


class SlowReturns:
    """Statements for `anna` wait for the gate. Those for `boris` fail while `is_broken`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = asyncio.Event()
        self.is_broken = False
        monkeypatch.setattr(shared_rate_limit, "LEASING_SECONDS", 10)
        monkeypatch.setattr(shared_rate_limit, "lease", self._lease)

    async def _lease(self, connection: Any, client: str, *arguments: Any) -> Lease:
        if client == "anna":
            await self.gate.wait()
        elif self.is_broken:
            raise TimeoutError
        return await lease(connection, client, *arguments)


async def expired_leases(pool: Pool, clock: Clock) -> SharedRateLimit:
    """Of `anna` and of `boris`, who has used 8 requests and has 4 more, which are not valid any longer."""
    shared = SharedRateLimit(pool, clock)
    assert (await admitted(shared, 2, "anna"), await admitted(shared, 8, "boris")) == (2, 8)
    clock.now += VALID_SECONDS
    return shared


async def test_a_lease_that_a_request_renews_while_others_are_returned_is_returned_once(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, slow_returns = await expired_leases(pool, Clock()), SlowReturns(monkeypatch)
    returning = asyncio.create_task(shared.give_back())
    assert isinstance(await try_to_take(shared, "boris"), Allowance)
    slow_returns.gate.set()
    await returning
    assert await admitted(shared, LIMIT, "boris") == LIMIT - 8 - 1


async def test_a_request_whose_lease_fails_while_others_are_returned_does_not_end_the_returning(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, slow_returns = await expired_leases(pool, Clock()), SlowReturns(monkeypatch)
    returning = asyncio.create_task(shared.give_back())
    slow_returns.is_broken = True
    assert await try_to_take(shared, "boris") is None
    slow_returns.gate.set()
    await returning


async def test_most_requests_need_no_query(pool: Pool) -> None:
    shared, queries = SharedRateLimit(pool), 0

    def count(_: object) -> None:
        nonlocal queries
        queries += 1

    async with pool.acquire() as connection:
        with connection.query_logger(count):
            held_connections = [await pool.acquire() for _ in range(9)]
            await pool.release(connection)
            assert await admitted(shared, LIMIT + 100) == LIMIT
        await asyncio.sleep(0)
        for each in held_connections:
            await pool.release(each)
    assert queries <= 15


async def test_requests_leave_the_window_after_a_minute(pool: Pool) -> None:
    shared = SharedRateLimit(pool)
    assert await admitted(shared, LIMIT) == LIMIT
    await pool.execute(
        "UPDATE rate_limit_leases SET ends = (SELECT array_agg(each - interval '65 s') FROM unnest(ends) AS each)"
    )
    assert await admitted(SharedRateLimit(pool), LIMIT + 1) == LIMIT


async def test_clients_have_separate_limits(pool: Pool) -> None:
    shared = SharedRateLimit(pool)
    assert [await admitted(shared, LIMIT + 1, client) for client in ("anna", "boris")] == [LIMIT, LIMIT]


@moves("rate_limit_lease_failures_total")
async def test_without_the_database_nothing_is_refused_and_it_is_asked_again_later(pool: Pool) -> None:
    clock = Clock()
    shared = SharedRateLimit(pool, clock)
    assert isinstance(await try_to_take(shared), Allowance)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE rate_limit_leases")
        clock.now += VALID_SECONDS
        assert await asyncio.gather(*(try_to_take(shared) for _ in range(5))) == [None] * 5
    assert await try_to_take(shared) is None
    clock.now += PAUSE_SECONDS
    assert isinstance(await try_to_take(shared), Allowance)


async def test_while_the_shared_limit_fails_that_of_each_process_holds(database: Database) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    async with (
        open_vase_gateway(database, rate_limit_per_minute=5, rate_limit_shared=True) as vase_gateway,
        vase_gateway.client() as client,
    ):
        assert (await client.get("/vases")).headers["RateLimit"].startswith('"default";r=4;')
        async with owner.transaction():
            await owner.execute("LOCK TABLE rate_limit_leases")
            statuses = [(await client.get("/vases")).status_code for _ in range(6)]
        assert statuses == [200] * 4 + [429] * 2
    await owner.close()


async def test_two_processes_together_admit_at_most_the_limit(make_database: MakeDatabase, tmp_path: Path) -> None:
    database = make_database("orders")
    await add_key(database)
    shared = {"RATE_LIMIT_PER_MINUTE": "40", "RATE_LIMIT_SHARED": "true"}
    with running_gateways("orders", database, tmp_path, shared, shared) as gateways:
        async with httpx.AsyncClient(headers={"X-API-Key": KEY}, timeout=30) as client:
            statuses = Counter[int]()
            for _ in range(8):
                requests = [client.get(f"{address}/api/v1/orders") for _, address in gateways for _ in range(5)]
                for response in await asyncio.gather(*requests):
                    statuses[response.status_code] += 1
                    if response.status_code == 429:
                        assert int(response.headers["Retry-After"]) >= 1
                    else:
                        assert response.headers["RateLimit-Policy"] == '"default";q=40;w=60'
            await time_passes(VALID_SECONDS + 1.5, "leases that were not used are returned")
            for _, address in gateways * 10:
                statuses[(await client.get(f"{address}/api/v1/orders")).status_code] += 1
    assert statuses[200] == 40
    assert statuses.keys() == {200, 429}


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_small_limit_is_exact(pool: Pool, limit: int) -> None:
    processes = [SharedRateLimit(pool), SharedRateLimit(pool)]
    results = [await try_to_take(processes[number % 2], limit=limit) for number in range(10)]
    assert [isinstance(each, Allowance) for each in results] == [True] * limit + [False] * (10 - limit)
