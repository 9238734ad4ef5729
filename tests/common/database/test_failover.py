"""A primary that turns read-only, as in a failover: relay, consumer and worker wait, and continue afterwards."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from common.database.transactions import Pool, transaction
from common.jobs import queue
from common.jobs.job import Job, NewJob
from common.running import purge
from common.running.purge import purge_regularly, standard_rules
from common.settings import ServiceSettings
from local_stack.postgres import Postgres
from structlog.testing import capture_logs
from support.events.traceparent import TRACEPARENT
from support.gateway.vase_service import open_vase_gateway
from support.jobs.handlers import FunctionHandler, running_worker
from support.kafka.relays import running_relay, wait_until_published, write_events
from support.kafka.subscribers import create_lines, running_subscriber, written_lines
from support.kafka.topics import MakeTopic
from support.postgres.databases import Databases, MakePool
from support.processes.servers import new_postgres
from support.waiting import eventually

ORDERS = [f"order-{number}" for number in range(20)]
VASE = {"name": "celadon", "price": 20}


@pytest.fixture(autouse=True)
def quick_purge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "SECONDS_BETWEEN_ROUNDS", 0.1)


@asynccontextmanager
async def working(pool: Pool, packages: Counter[str], may_continue: asyncio.Event) -> AsyncIterator[None]:
    """Run a worker whose jobs take until `may_continue` is set, and a purger. Raises what ends one of them."""
    stopping = asyncio.Event()

    async def pack(job: Job) -> None:
        await may_continue.wait()
        packages[job.business_key] += 1

    async def fail(*_: object) -> None:
        raise AssertionError("no job may fail permanently")

    handler = FunctionHandler("pack", pack, on_failure=fail)
    settings = ServiceSettings(database_url="postgresql://nowhere/nothing", kafka_bootstrap="nowhere:9092")
    purging = purge_regularly(pool, standard_rules(settings), stopping)
    async with running_worker(pool, handler, retry_unit_seconds=0.1, lease_seconds=2), asyncio.TaskGroup() as group:
        group.create_task(purging)
        yield
        stopping.set()


async def enqueue(pool: Pool, *keys: str) -> None:
    async with transaction(pool) as connection:
        await queue.enqueue(connection, *[NewJob("pack", key, {}, TRACEPARENT) for key in keys])


def set_read_only(server: Postgres, setting: str) -> None:
    server.execute(
        "SET default_transaction_read_only = off;",
        f"ALTER SYSTEM SET default_transaction_read_only = {setting};",
        "SELECT pg_reload_conf();",
    )


def is_unavailable(response: httpx.Response) -> bool:
    return (
        response.status_code == 503
        and response.json()["error"]["code"] == "UNAVAILABLE"
        and "Retry-After" in response.headers
    )


@pytest.mark.timeout(120)
async def test_while_the_primary_is_read_only_all_roles_wait_and_later_do_everything_once(
    session_folder: Path, make_pool: MakePool, make_topic: MakeTopic, kafka: str
) -> None:
    with new_postgres(session_folder / "demoted-postgres") as server:
        databases = Databases(server)
        database = databases.create(None)
        await create_lines(database)
        topic = await make_topic(partitions=3)
        pool = await make_pool(database)
        packages, may_continue = Counter[str](), asyncio.Event()
        async with (
            open_vase_gateway(database) as vase_gateway,
            vase_gateway.client() as client,
            running_relay(pool, kafka),
            running_subscriber(pool, kafka, [topic]) as member,
            working(pool, packages, may_continue),
        ):
            await write_events(pool, topic, ORDERS, range(1, 2))
            await enqueue(pool, "before")
            await eventually(lambda: are_consumed(pool, len(ORDERS)))
            await write_events(pool, topic, ORDERS, range(2, 3))
            await enqueue(pool, *(f"during-{number}" for number in range(8)))
            await eventually(lambda: pool.fetchval("SELECT count(*) = 4 FROM jobs WHERE state = 'running'"))

            set_read_only(server, "on")
            with capture_logs() as logs:
                await eventually(lambda: is_refused(client))
                assert (await client.get("/vases")).status_code == 200
                await eventually(lambda: all_waits(logs))
            for _ in range(20):
                assert is_unavailable(await client.post("/vases", json=VASE))
            assert member.connected

            may_continue.set()
            await eventually(lambda: all_packed(packages, 4))
            await eventually(lambda: pool.fetchval("SELECT bool_and(leased_until < now()) FROM jobs"))

            set_read_only(server, "off")
            await eventually(lambda: is_made(client))
            await enqueue(pool, "after")
            await write_events(pool, topic, ORDERS, range(3, 4))
            await wait_until_published(pool)
            await eventually(lambda: are_consumed(pool, 3 * len(ORDERS)))
            await eventually(lambda: all_done(pool))
        assert len(packages) == 10
        assert set(packages.values()) == {1}
        lines = await written_lines(pool)
        assert sorted(lines) == sorted((order, sequence) for order in ORDERS for sequence in (1, 2, 3))
        assert await pool.fetchval("SELECT count(*) FROM poison") == 0
        assert await pool.fetchval("SELECT sum(failures) + sum(abandoned) FROM jobs") == 0
        assert await pool.fetchval("SELECT count(*) FROM job_attempts WHERE outcome IN ('failed', 'abandoned')") == 0


async def is_refused(client: httpx.AsyncClient) -> bool:
    response = await client.post("/vases", json=VASE)
    assert response.status_code == 201 or is_unavailable(response), response.text
    return response.status_code == 503


async def all_waits(logs: list[Any]) -> bool:
    """Whether the worker and the relay have got an error of the read-only server."""
    return {"job leases not extended", "lane leases not renewed"} <= {line["event"] for line in logs}


async def is_made(client: httpx.AsyncClient) -> bool:
    response = await client.post("/vases", json=VASE)
    assert response.status_code == 201 or is_unavailable(response), response.text
    return response.status_code == 201


async def all_packed(packages: Counter[str], number: int) -> bool:
    return packages.total() == number


async def are_consumed(pool: Pool, count: int) -> bool:
    return len(await written_lines(pool)) >= count


async def all_done(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT bool_and(state = 'done') FROM jobs"))
