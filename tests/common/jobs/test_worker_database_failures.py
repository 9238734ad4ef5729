"""A database that fails or blocks while a job runs: no work is repeated that was done, and no other job is delayed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg
import pytest
import pytest_asyncio
from common.database.statements import Connection
from common.database.transactions import Pool, open_pool, transaction
from common.errors import PermanentFailure
from common.jobs import leases, queue
from common.jobs.job import Job, NewJob
from common.jobs.runner import MOST_SET_BACKS
from support.events.traceparent import TRACEPARENT
from support.jobs.bad_jobs import attempts, enqueue, running_worker, until_state
from support.postgres.databases import Database
from support.waiting import eventually


@pytest_asyncio.fixture
async def impatient_pool(database: Database) -> AsyncIterator[Pool]:
    """Connections with a lock timeout of 100 ms."""
    pool = await open_pool(database.dsn, application_name="impatient_pool", server_settings={"lock_timeout": "100ms"})
    yield pool
    await asyncio.wait_for(pool.close(), 20)


@asynccontextmanager
async def locked(database: Database, lock: str) -> AsyncIterator[None]:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        async with owner.transaction():
            await owner.execute(lock)
            yield
    finally:
        await owner.close()


async def test_a_lock_that_blocks_a_failure_handler_delays_only_the_handler(
    database: Database, pool: Pool, impatient_pool: Pool
) -> None:
    tries: list[str] = []

    async def fail(_: Job) -> None:
        tries.append("work")
        raise PermanentFailure("declined")

    async def follow(connection: Connection, _job: Job, _error: str) -> None:
        await connection.execute("INSERT INTO event_streams VALUES ('t', 'k', 1)")

    await enqueue(pool, "bad")
    async with running_worker(impatient_pool, fail, follow):
        async with locked(database, "LOCK TABLE event_streams IN SHARE MODE"):
            await eventually(lambda: pool.fetchval("SELECT true FROM jobs WHERE set_backs > $1", MOST_SET_BACKS))
        await until_state(pool, "bad", "dead")
    assert tries == ["work"]
    assert await pool.fetchval("SELECT count(*) FROM event_streams WHERE topic = 't'") == 1


async def test_completed_work_is_not_repeated_while_a_lock_blocks_the_success_handler(
    database: Database, pool: Pool, impatient_pool: Pool
) -> None:
    mails: list[int] = []

    async def send(_: Job) -> dict[str, int]:
        mails.append(1)
        return {"receipt": 17}

    async def follow(connection: Connection, _job: Job, result: Mapping[str, int]) -> None:
        await connection.execute("INSERT INTO event_streams VALUES ('t', 'k', $1)", result["receipt"])

    await enqueue(pool, "bad")
    async with running_worker(impatient_pool, send, on_success=follow):
        async with locked(database, "LOCK TABLE event_streams IN SHARE MODE"):
            await eventually(lambda: pool.fetchval("SELECT true FROM jobs WHERE set_backs > $1", MOST_SET_BACKS))
        await until_state(pool, "bad", "done")
    assert mails == [1]
    assert await pool.fetchval("SELECT failures FROM jobs") == 0
    assert set(await attempts(pool)) == {"handed_back", "succeeded"}
    assert await pool.fetchval("SELECT sequence FROM event_streams") == 17


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError()], ids=["timeout", "reset"])
async def test_a_database_that_does_not_respond_after_the_work_is_no_failure_of_the_job(
    pool: Pool, error: Exception
) -> None:
    """A connection that hangs ends with the driver's own timeout, which has no SQLSTATE."""
    mails: list[str] = []
    attempt = 0

    async def send(_: Job) -> None:
        mails.append("a mail")

    async def follow(*_: object) -> None:
        nonlocal attempt
        attempt += 1
        if attempt <= 5:
            raise error

    await enqueue(pool, "bad")
    async with running_worker(pool, send, on_success=follow):
        await eventually(lambda: pool.fetchval("SELECT true FROM jobs WHERE state IN ('done', 'dead')"))
    assert mails == ["a mail"]
    assert await attempts(pool) == ["handed_back"] * 5 + ["succeeded"]


@pytest.mark.parametrize("lock", ["SELECT 1 FROM jobs FOR UPDATE", "LOCK TABLE jobs IN SHARE MODE"])
async def test_completed_work_is_stored_when_its_job_can_be_written_again(
    database: Database, pool: Pool, impatient_pool: Pool, lock: str
) -> None:
    mails: list[str] = []
    started, may_continue = asyncio.Event(), asyncio.Event()

    async def send(_: Job) -> None:
        started.set()
        await may_continue.wait()
        mails.append("a mail")

    await enqueue(pool, "bad")
    async with running_worker(impatient_pool, send, lease=1):
        await started.wait()
        async with locked(database, lock):
            may_continue.set()
            is_over = "SELECT leased_until < now() FROM jobs"
            await eventually(lambda: pool.fetchval(is_over))
        await until_state(pool, "bad", "done")
    assert mails == ["a mail"]
    assert await attempts(pool) == ["succeeded"]


async def test_a_lock_timeout_during_the_work_is_retried_by_the_schedule(
    database: Database, pool: Pool, impatient_pool: Pool
) -> None:
    async def run(job: Job) -> None:
        async with job.transaction() as connection:
            await connection.execute("DELETE FROM idempotency_keys")

    await enqueue(pool, "bad")
    async with running_worker(impatient_pool, run), locked(database, "LOCK TABLE idempotency_keys IN SHARE MODE"):
        await until_state(pool, "bad", "dead")
    assert await attempts(pool) == ["failed"] * 4


async def test_a_database_that_is_unavailable_at_each_attempt_finally_counts_as_a_failure(pool: Pool) -> None:
    """For example a disk that is full for one table only: it is unknown how often the work was done."""

    async def run(_: Job) -> None:
        raise asyncpg.DiskFullError("could not extend file")

    await enqueue(pool, "bad")
    async with running_worker(pool, run):
        await until_state(pool, "bad", "dead")
    assert await attempts(pool) == ["handed_back"] * MOST_SET_BACKS + ["failed"] * 4


async def test_an_attempt_that_the_database_ended_is_repeated_after_a_delay(pool: Pool) -> None:
    async def run(_: Job) -> None:
        raise asyncpg.ReadOnlySQLTransactionError("cannot execute UPDATE in a read-only transaction")

    await enqueue(pool, "bad")
    async with running_worker(pool, run, unit=60):
        await eventually(lambda: pool.fetchval("SELECT true FROM jobs WHERE set_backs = 2"))
        wait = await pool.fetchval("SELECT extract(epoch FROM due_at - now()) FROM jobs")
    assert 1 < wait <= 2


async def test_a_locked_job_does_not_prevent_the_leases_of_others_from_being_extended(
    database: Database, pool: Pool, impatient_pool: Pool
) -> None:
    both, may_continue = asyncio.Barrier(3), asyncio.Event()

    async def run(_: Job) -> None:
        await both.wait()
        await may_continue.wait()

    async with transaction(pool) as connection:
        await queue.enqueue(connection, *[NewJob("bad", key, {}, TRACEPARENT) for key in ("locked", "free")])
    async with running_worker(impatient_pool, run, lease=1):
        await both.wait()
        is_extended = "SELECT leased_until > claimed + interval '1 s' FROM jobs, (SELECT $1::timestamptz AS claimed) c"
        first = await pool.fetchval("SELECT leased_until FROM jobs WHERE business_key = 'free'")
        async with locked(database, "SELECT 1 FROM jobs WHERE business_key = 'locked' FOR UPDATE"):
            await eventually(lambda: pool.fetchval(f"{is_extended} WHERE business_key = 'free'", first))
        may_continue.set()
        await eventually(lambda: pool.fetchval("SELECT bool_and(state = 'done') FROM jobs"))
    assert await pool.fetchval("SELECT abandoned FROM jobs WHERE business_key = 'free'") == 0


async def test_a_lease_that_expired_during_a_database_outage_stays_with_its_running_worker(
    pool: Pool, impatient_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the database is available again, neither of two workers releases the job that the other runs."""
    started, may_continue = asyncio.Event(), asyncio.Event()

    async def run(_: Job) -> None:
        started.set()
        await may_continue.wait()

    await enqueue(pool, "bad")
    async with running_worker(impatient_pool, run, lease=1), running_worker(pool, run, lease=1):
        await started.wait()
        extend = leases.extend

        async def away(*_: object) -> None:
            raise asyncpg.CannotConnectNowError("the database system is starting up")

        monkeypatch.setattr(leases, "extend", away)
        await eventually(lambda: pool.fetchval("SELECT leased_until < now() - interval '0.5 s' FROM jobs"))
        monkeypatch.setattr(leases, "extend", extend)
        await eventually(lambda: pool.fetchval("SELECT leased_until > now() FROM jobs"))
        may_continue.set()
        await until_state(pool, "bad", "done")
    assert await attempts(pool) == ["succeeded"]
