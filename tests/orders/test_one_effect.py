"""One key, one order: identical requests at once over two processes, and a process killed after its commit."""

import asyncio
import time
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest
from local_stack.postgres import Postgres
from support.example.orders import an_order
from support.postgres.databases import MakeDatabase
from support.processes.gateways import KEY, add_key, running_gateways
from support.processes.hanging_servers import paused
from support.waiting import eventually

PATH = "/api/v1/orders"


async def place_until_answered(client: httpx.AsyncClient, address: str, key: str) -> tuple[httpx.Response, int]:
    """The response and the number of 409s before it, each of which says when to try again."""
    conflicts = 0

    async def final_response() -> httpx.Response | None:
        nonlocal conflicts
        response = await client.post(address + PATH, json=an_order(), headers={"Idempotency-Key": key})
        if response.status_code != 409:
            return response
        assert response.json()["error"]["code"] == "CONFLICT"
        assert int(response.headers["Retry-After"]) >= 1
        conflicts += 1
        return None

    response = await eventually(final_response)
    assert response is not None
    return response, conflicts


async def test_fifty_identical_requests_at_once_place_one_order_and_get_equal_answers(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    database = make_database("orders")
    await add_key(database)
    with running_gateways("orders", database, tmp_path, {}, {}) as gateways:
        async with httpx.AsyncClient(headers={"X-API-Key": KEY}, timeout=60) as client:
            for key in (str(uuid4()) for _ in range(3)):
                addresses = [address for _, address in gateways] * 25
                results = await asyncio.gather(*(place_until_answered(client, each, key) for each in addresses))
                responses = [response for response, _ in results]
                assert {response.status_code for response in responses} == {201}
                assert len({response.content for response in responses}) == 1
                assert {response.headers["ETag"] for response in responses} == {'"1"'}
                assert len({response.headers["Location"] for response in responses}) == 1
                first_answers = [each for each in responses if "Idempotency-Replayed" not in each.headers]
                assert len(first_answers) == 1
    connection = await asyncpg.connect(database.dsn)
    assert await connection.fetchval("SELECT count(*) FROM orders") == 3
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 3
    await connection.close()


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
async def test_a_process_killed_around_its_commit_places_one_order_in_the_end(
    make_database: MakeDatabase, tmp_path: Path, moment: str
) -> None:
    database = make_database("orders")
    await add_key(database)
    failpoint = f"command.{moment.replace('before the ', 'before_').replace('after the ', 'after_')}:kill"
    with running_gateways("orders", database, tmp_path, {"FAILPOINT": failpoint}, {}) as gateways:
        (killed, first_address), (_, second_address) = gateways
        async with httpx.AsyncClient(headers={"X-API-Key": KEY}, timeout=60) as client:
            key = str(uuid4())
            with pytest.raises(httpx.TransportError):
                await client.post(first_address + PATH, json=an_order(), headers={"Idempotency-Key": key})
            assert killed.wait() == -9
            retry, _ = await place_until_answered(client, second_address, key)
            assert retry.status_code == 201
            assert ("Idempotency-Replayed" in retry.headers) == (moment == "after the commit")
            page = (await client.get(second_address + PATH)).json()
            assert [order["id"] for order in page["data"]] == [retry.json()["id"]]


async def test_while_the_database_hangs_requests_end_at_their_time_limit_and_had_no_effect(
    make_database: MakeDatabase, postgres: Postgres, tmp_path: Path
) -> None:
    database = make_database("orders")
    await add_key(database)
    environment = {"HTTP_REQUEST_SECONDS": "1", "API_KEY_CACHE_SECONDS": "60"}
    with running_gateways("orders", database, tmp_path, environment) as [(_, address)]:
        async with httpx.AsyncClient(headers={"X-API-Key": KEY}, timeout=60) as client:
            assert (await client.get(address + PATH)).status_code == 200
            key = str(uuid4())
            with paused(postgres):
                start = time.monotonic()
                requests = [client.post(address + PATH, json=an_order(), headers={"Idempotency-Key": key})]
                requests += [client.get(address + PATH) for _ in range(20)]
                responses = await asyncio.gather(*requests)
                assert time.monotonic() - start < 10, "the connection attempts alone would take longer"
            for response in responses:
                assert response.status_code == 503
                assert response.json()["error"]["details"] == {"outcome": "none"}
                assert int(response.headers["Retry-After"]) >= 1

            async def placed() -> httpx.Response | None:
                response, _ = await place_until_answered(client, address, key)
                return response if response.status_code == 201 else None

            order = await eventually(placed, pause=0.2)
            assert order is not None
            assert "Idempotency-Replayed" not in order.headers
