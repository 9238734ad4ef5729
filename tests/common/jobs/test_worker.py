"""The worker with jobs that succeed, fail, time out or fail permanently, and when it is stopped."""

import asyncio
from contextlib import suppress

import asyncpg
import structlog
from common.database.statements import Connection
from common.database.transactions import DatabaseUnavailable, Pool, transaction
from common.errors import PermanentFailure
from common.jobs import queue
from common.jobs.handler import JobHandler
from common.jobs.job import Job, NewJob
from common.jobs.runner import MOST_ABANDONED
from common.jobs.worker import Worker
from sqlalchemy import make_url
from support.events.traceparent import TRACEPARENT
from support.jobs.handlers import FunctionHandler, Work, running_worker, worker_settings
from support.postgres.databases import Database
from support.waiting import eventually, eventually_true, time_passes

INVOICE = NewJob("invoice", "walnut bowl", {}, TRACEPARENT)


class Printer:
    """Prints invoices, after raising the given failures."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.invoices: list[str] = []
        self.final_errors: list[str] = []

    async def print_invoice(self, job: Job) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.invoices.append(job.business_key)

    async def store_final_error(self, _connection: Connection, _job: Job, error: str) -> None:
        self.final_errors.append(error)

    def handler(self, work: Work | None = None, timeout_seconds: float = 30) -> JobHandler:
        return FunctionHandler(
            "invoice", work or self.print_invoice, on_failure=self.store_final_error, timeout_seconds=timeout_seconds
        )


async def present(pool: Pool) -> list[list[str]]:
    rows = await pool.fetch("SELECT kinds FROM workers WHERE active_until > now()")
    return [row["kinds"] for row in rows]


async def test_a_worker_is_present_with_its_kinds_while_it_runs(pool: Pool) -> None:
    await pool.execute("INSERT INTO workers VALUES ('killed', '{refund}', now() - interval '1 second')")
    async with running_worker(pool, Printer().handler()), running_worker(pool, Printer().handler()):

        async def are_present() -> bool:
            return await present(pool) == [["invoice"], ["invoice"]]

        await eventually(are_present)
        assert await pool.fetchval("SELECT count(*) FROM workers") == 2
    assert await pool.fetchval("SELECT count(*) FROM workers") == 0


async def test_a_worker_runs_jobs_although_its_presence_cannot_be_written(database: Database, pool: Pool) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.execute(f'REVOKE ALL ON workers FROM "{make_url(database.dsn).username}"')
        printer = Printer()
        with structlog.testing.capture_logs() as logs:
            async with running_worker(pool, printer.handler()):
                await eventually_true(lambda: "the presence of the worker was not reported" in str(logs))
                await enqueue(pool)
                await until_state(pool, "done")
        assert "the end of the worker was not reported" in str(logs)
    finally:
        await owner.close()


async def enqueue(pool: Pool) -> None:
    async with transaction(pool) as connection:
        await queue.enqueue(connection, INVOICE)


async def until_state(pool: Pool, state: str) -> None:
    async def reached() -> bool:
        return bool(await pool.fetchval("SELECT true FROM jobs WHERE state = $1", state))

    await eventually(reached)


async def attempts(pool: Pool) -> list[tuple[str, str | None]]:
    return [tuple(row) for row in await pool.fetch("SELECT outcome, error FROM job_attempts ORDER BY number")]


async def test_a_completed_job_and_its_attempt_are_stored(pool: Pool) -> None:
    printer = Printer()
    await enqueue(pool)
    async with running_worker(pool, printer.handler()):
        await until_state(pool, "done")
    assert printer.invoices == ["walnut bowl"]
    assert await attempts(pool) == [("succeeded", None)]


async def test_a_job_that_fails_twice_completes_at_the_third_attempt(pool: Pool) -> None:
    printer = Printer(OSError("no paper"), OSError("no ink"))
    await enqueue(pool)
    async with running_worker(pool, printer.handler()):
        await until_state(pool, "done")
    assert await attempts(pool) == [("failed", "OSError: no paper"), ("failed", "OSError: no ink"), ("succeeded", None)]
    assert printer.final_errors == []


async def test_after_the_last_attempt_the_job_is_dead_and_its_failure_handler_runs_once(pool: Pool) -> None:
    printer = Printer(*(OSError("no paper") for _ in range(4)))
    await enqueue(pool)
    async with running_worker(pool, printer.handler()):
        await until_state(pool, "dead")
    assert len(await attempts(pool)) == 4
    assert printer.final_errors == ["OSError: no paper"]


async def test_a_permanent_failure_makes_the_job_dead_immediately(pool: Pool) -> None:
    printer = Printer(PermanentFailure("declined"))
    await enqueue(pool)
    async with running_worker(pool, printer.handler()):
        await until_state(pool, "dead")
    assert len(await attempts(pool)) == 1


async def test_an_attempt_that_exceeds_its_timeout_fails(pool: Pool) -> None:
    printer = Printer()

    async def hang_once(job: Job) -> None:
        if job.attempt == 1:
            await asyncio.Event().wait()
        await printer.print_invoice(job)

    await enqueue(pool)
    async with running_worker(pool, printer.handler(hang_once, timeout_seconds=0.1)):
        await until_state(pool, "done")
    assert [outcome for outcome, _ in await attempts(pool)] == ["failed", "succeeded"]


async def test_an_unavailable_database_is_no_failure_of_the_job(pool: Pool) -> None:
    printer = Printer(DatabaseUnavailable("restarting"))
    await enqueue(pool)
    async with running_worker(pool, printer.handler()):
        await until_state(pool, "done")
    assert [outcome for outcome, _ in await attempts(pool)] == ["handed_back", "succeeded"]


async def test_a_stopping_worker_completes_its_running_job(pool: Pool) -> None:
    printer, started, may_continue = Printer(), asyncio.Event(), asyncio.Event()

    async def print_slowly(job: Job) -> None:
        started.set()
        await may_continue.wait()
        await printer.print_invoice(job)

    await enqueue(pool)
    async with running_worker(pool, printer.handler(print_slowly)) as stopping:
        await started.wait()
        stopping.set()
        may_continue.set()
    assert printer.invoices == ["walnut bowl"]


async def test_a_job_that_cannot_complete_before_the_stop_is_handed_back(pool: Pool) -> None:
    printer, started = Printer(), asyncio.Event()

    async def never_end(_: Job) -> None:
        started.set()
        await asyncio.Event().wait()

    await enqueue(pool)
    worker = Worker(
        pool, [printer.handler(never_end)], "invoicing", worker_settings(retry_unit_seconds=1, lease_seconds=5)
    )
    running = asyncio.create_task(worker.run(asyncio.Event()))
    await started.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert await attempts(pool) == [("handed_back", None)]
    await until_state(pool, "ready")


async def test_work_that_outlasts_its_lease_stays_with_its_worker(pool: Pool) -> None:
    printer = Printer()

    async def print_slowly(job: Job) -> None:
        await time_passes(1, "the work takes longer than its lease")
        await printer.print_invoice(job)

    await enqueue(pool)
    async with (
        running_worker(pool, printer.handler(print_slowly), lease_seconds=0.4),
        running_worker(pool, printer.handler(print_slowly), lease_seconds=0.4),
    ):
        await until_state(pool, "done")
    assert [outcome for outcome, _ in await attempts(pool)] == ["succeeded"]


async def test_a_job_whose_workers_end_repeatedly_fails_permanently(pool: Pool) -> None:
    printer = Printer()
    await enqueue(pool)
    await pool.execute("UPDATE jobs SET abandoned = $1", MOST_ABANDONED)
    async with running_worker(pool, printer.handler()):
        await until_state(pool, "dead")
    assert printer.invoices == []
    assert printer.final_errors == [f"PermanentFailure: {MOST_ABANDONED} workers ended while they ran this job"]
