"""One caller's waiting requests do not hold up others: bounded shares of the connections, and time limits (ADR 32)."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from httpx import Response
from orders.app import SERVICE
from support.example.ada import CUSTOMER
from support.example.orders import an_order, place
from support.gateway.application import Gateway, serve
from support.metrics.moved import moves
from support.postgres.databases import Database, MakeDatabase
from support.postgres.slow_commits import break_a_commit, slow_commits
from support.running import running
from support.waiting import eventually

PAID = {"new_state": "PAID", "payment_transaction_id": "ch_teacups"}
READS = 100


@asynccontextmanager
async def locked(database: Database, order: dict[str, Any]) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Lock the order's row elsewhere, during the block."""
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        async with owner.transaction():
            await owner.execute("SELECT 1 FROM orders WHERE id = $1 FOR UPDATE", UUID(order["id"]))
            yield owner
    finally:
        await owner.close()


async def p99_of_reading(gateway: Gateway, order: dict[str, Any], key: str) -> float:
    """In seconds, one after the other."""
    durations = []
    for _ in range(READS):
        start = time.perf_counter()
        assert (await gateway.get(f"/orders/{order['id']}", key=key)).status_code == 200
        durations.append(time.perf_counter() - start)
    return sorted(durations)[READS * 99 // 100 - 1]


async def lock_waits(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    waiting: int = await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
    return waiting


async def test_two_hundred_requests_for_a_locked_order_leave_other_callers_their_usual_times(
    make_database: MakeDatabase,
) -> None:
    """Without shares the flood holds all ten connections, and each read of another caller waits for five seconds."""
    database = make_database("orders")
    async with serve(SERVICE, database, database_pool_size=10, caller_waiting_limit=300) as gateway:
        order, other = await place(gateway), await place(gateway)
        reader = await gateway.new_client(CUSTOMER["customer_id"])
        usual = await p99_of_reading(gateway, other, reader)
        async with locked(database, order) as owner:
            flood = [
                asyncio.create_task(gateway.patch(f"/orders/{order['id']}/state", PAID, key="payments"))
                for _ in range(200)
            ]

            async def shares_are_used() -> bool:
                return await lock_waits(owner) == 7

            await eventually(shares_are_used)
            during = await p99_of_reading(gateway, other, reader)
        statuses = Counter(response.status_code for response in await asyncio.gather(*flood))
        assert during < max(10 * usual, 0.25), (usual, during)
        assert statuses[200] >= 1
        assert statuses.keys() <= {200, 503}, statuses


async def test_a_request_for_a_locked_order_gives_up_and_says_that_nothing_was_changed(
    make_database: MakeDatabase,
) -> None:
    database = make_database("orders")
    async with serve(SERVICE, database) as gateway:
        order = await place(gateway)
        async with locked(database, order):
            start = time.monotonic()
            response = await gateway.patch(f"/orders/{order['id']}/state", PAID)
            assert time.monotonic() - start < 8
        unavailable(response, "none")
        assert (await gateway.get(f"/orders/{order['id']}")).json() == order


def unavailable(response: Response, outcome: str) -> None:
    assert response.status_code == 503, response.text
    assert response.json()["error"]["code"] == "UNAVAILABLE"
    assert response.json()["error"]["details"] == {"outcome": outcome}
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["X-Request-Id"]


async def test_more_waiting_requests_of_a_caller_than_allowed_are_refused_at_once(make_database: MakeDatabase) -> None:
    database = make_database("orders")
    async with serve(SERVICE, database, database_pool_size=4, caller_waiting_limit=5) as gateway:
        order = await place(gateway)
        path = f"/orders/{order['id']}"
        async with locked(database, order):
            flood = [asyncio.create_task(gateway.patch(f"{path}/state", PAID, key="payments")) for _ in range(20)]
            early, _ = await asyncio.wait(flood, timeout=3)
            assert len(early) == 20 - 2 - 5
            for task in early:
                refused = task.result()
                assert refused.status_code == 429
                assert refused.json()["error"]["code"] == "RATE_LIMITED"
                assert refused.json()["error"]["details"] == {"limit": 5}
                assert refused.headers["Retry-After"] == "1"
            assert (await gateway.get(path)).status_code == 200
        await asyncio.gather(*flood)


@asynccontextmanager
async def limited(database: Database, seconds: float, **settings: Any) -> AsyncIterator[Gateway]:
    """A gateway with a time limit for requests, which is watched as in a process of the role `api`."""
    async with serve(SERVICE, database, http_request_seconds=seconds, **settings) as gateway:
        [watch] = [each for each in gateway.app.state.components if each.name == "time limits"]
        async with running(watch.run):
            yield gateway


@moves("expired_requests_total")
async def test_a_request_beyond_its_time_limit_gets_503_and_has_no_effect(make_database: MakeDatabase) -> None:
    database = make_database("orders")
    async with limited(database, 0.5) as gateway:
        order = await place(gateway)
        key = {"Idempotency-Key": "too slow"}
        async with locked(database, order) as owner:
            start = time.monotonic()
            late = await gateway.call("PATCH", f"/orders/{order['id']}/state", PAID, headers=key)
            assert 0.4 < time.monotonic() - start < 3

            async def is_cancelled() -> bool:
                return await lock_waits(owner) == 0

            await eventually(is_cancelled, within=3)
        unavailable(late, "none")
        assert (await gateway.get(f"/orders/{order['id']}")).json() == order
        again = await gateway.call("PATCH", f"/orders/{order['id']}/state", PAID, headers=key)
        assert (again.status_code, "Idempotency-Replayed" in again.headers) == (200, False)


async def test_a_slow_commit_is_waited_for_and_answered_with_its_result(make_database: MakeDatabase) -> None:
    """A deferred trigger runs during the commit."""
    database = make_database("orders")
    await slow_commits(database, 1.5)
    async with limited(database, 0.5) as gateway:
        start = time.monotonic()
        placed = await gateway.post("/orders", an_order())
        assert time.monotonic() - start > 1
        assert placed.status_code == 201
        assert (await gateway.get(f"/orders/{placed.json()['id']}")).status_code == 200


async def test_a_commit_that_takes_too_long_is_reported_as_unknown_and_a_retry_finds_the_result(
    make_database: MakeDatabase,
) -> None:
    database = make_database("orders")
    await slow_commits(database, 8)
    async with limited(database, 0.5) as gateway:
        key = {"Idempotency-Key": str(uuid4())}
        unavailable(await gateway.call("POST", "/orders", an_order(), headers=key), "unknown")

        async def replay() -> Response | None:
            response = await gateway.call("POST", "/orders", an_order(), headers=key)
            return response if response.status_code == 201 else None

        placed = await eventually(replay, pause=0.5)
        assert placed is not None
        assert placed.headers["Idempotency-Replayed"] == "true"
        assert (await gateway.get("/orders")).json()["pagination"]["total"] == 1


async def test_a_connection_that_breaks_during_the_commit_leaves_the_outcome_unknown(
    make_database: MakeDatabase,
) -> None:
    database = make_database("orders")
    await slow_commits(database, 20)
    async with serve(SERVICE, database) as gateway:
        placing = asyncio.create_task(gateway.post("/orders", an_order()))
        await break_a_commit(database)
        unavailable(await placing, "unknown")
