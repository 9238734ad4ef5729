"""A role `api` that is killed between the commit and the answer: the client's repeat has no second effect."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from common.access import api_keys
from common.access.auth import Role
from common.database.transactions import Pool, transaction
from support.example.orders import an_order, created
from support.postgres.databases import Database, MakeDatabase
from support.processes.service import ServiceProcess, running_service

StartApi = Callable[..., ServiceProcess]


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database("orders")


@pytest_asyncio.fixture
async def key(pool: Pool) -> str:
    """The API key of a client that acts for many customers."""
    async with transaction(pool) as connection:
        return await api_keys.create(connection, name="a shop", role=Role.CLIENT)


@pytest.fixture
def start_api(database: Database, tmp_path: Path) -> Iterator[StartApi]:
    """`start_api(FAILPOINT=…)` starts a role `api`, which is killed at the end at the latest."""
    with ExitStack() as running:

        def start(**environment: str) -> ServiceProcess:
            folder = tmp_path / uuid4().hex
            folder.mkdir()
            wiring = {"DATABASE_URL": database.dsn, "KAFKA_BOOTSTRAP": "127.0.0.1:9", **environment}
            process = running.enter_context(running_service("orders", "api", folder=folder, environment=wiring))
            process.wait_for("/readyz", 200)
            return process

        yield start


def place(process: ServiceProcess, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{process.address}/api/v1/orders", json=body, headers=headers, timeout=20)


@pytest.mark.parametrize("has_key", [False, True], ids=["external id only", "idempotency key too"])
async def test_after_a_crash_between_commit_and_answer_a_repeat_finds_the_first_order(
    pool: Pool, key: str, start_api: StartApi, has_key: bool
) -> None:
    body = an_order(external_id=f"shop-{uuid4()}")
    headers = {"X-API-Key": key, **({"Idempotency-Key": "first try"} if has_key else {})}
    with pytest.raises(httpx.TransportError):
        place(start_api(FAILPOINT="command.after_commit:kill"), body, **headers)
    [(order_id, order_number)] = await pool.fetch("SELECT id, order_number FROM orders")
    repeat = place(start_api(), body, **headers)
    if has_key:
        assert created(repeat)["id"] == str(order_id)
    else:
        assert (repeat.status_code, repeat.json()["error"]["code"]) == (409, "CONFLICT")
        details = {"external_id": body["external_id"], "order_id": str(order_id), "order_number": order_number}
        assert repeat.json()["error"]["details"] == details
    assert await pool.fetchval("SELECT count(*) FROM orders") == 1


@pytest.mark.parametrize("failpoint", ["bulk.after_commit:kill", "bulk.after_commit:kill:7"])
async def test_after_a_crash_in_the_middle_of_many_orders_the_repeat_changes_the_rest_and_has_every_result(
    pool: Pool, key: str, start_api: StartApi, failpoint: str
) -> None:
    headers, survivor = {"X-API-Key": key}, start_api()
    order_ids = [created(place(survivor, an_order(), **headers))["id"] for _ in range(12)]
    body = {"order_ids": order_ids, "change": {"new_state": "CANCELLED", "reason": "out of clay"}}
    headers["Idempotency-Key"] = "a dozen"
    with pytest.raises(httpx.TransportError):
        change_many(start_api(FAILPOINT=failpoint), body, headers)
    cancelled = "SELECT count(*) FROM orders WHERE status = 'CANCELLED'"
    assert 0 < await pool.fetchval(cancelled) < 12
    other = change_many(survivor, {**body, "order_ids": [str(uuid4())]}, headers)
    assert other.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    repeat = change_many(survivor, body, headers)
    assert [(each["order_id"], each["outcome"], each["version"]) for each in repeat.json()["data"]] == [
        (order_id, "changed", 2) for order_id in order_ids
    ]
    assert await pool.fetchval(cancelled) == 12
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE type = 'order.cancelled'") == 12
    assert change_many(survivor, body, headers).content == repeat.content


def change_many(process: ServiceProcess, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{process.address}/api/v1/orders/bulk-state", json=body, headers=headers, timeout=20)
