"""No error of a job or of its failure handler ends the worker or affects another job."""

import asyncio

import pytest
from common.database.statements import Connection
from common.database.transactions import Pool
from common.errors import PermanentFailure
from common.jobs.job import Job
from common.jobs.runner import MOST_SET_BACKS
from support.jobs.bad_jobs import attempts, enqueue, running_worker, until_state


async def last_error(pool: Pool) -> str:
    return str(await pool.fetchval("SELECT last_error FROM jobs WHERE kind = 'bad'"))


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


NESTED = BaseExceptionGroup("several", [SystemExit("deep"), ExceptionGroup("inside", [OSError("\0")])])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("declined\0 here"), "RuntimeError: declined\\0 here"),
        (RuntimeError("declined \ud800 here"), "RuntimeError: declined \\ud800 here"),
        (RuntimeError("\0" * 5_000_000), "RuntimeError: \\0\\0"),
        (Unspeakable(), "Unspeakable: (its text cannot be read: RuntimeError)"),
        (NESTED, "BaseExceptionGroup: several (2 sub-exceptions) [SystemExit: deep; ExceptionGroup: inside"),
        (SystemExit(3), "SystemExit: 3"),
        (asyncio.CancelledError("raised by a library"), "CancelledError: raised by a library"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_any_exception_of_a_job_is_retried_by_the_schedule_and_affects_no_other_job(
    pool: Pool, error: BaseException, message: str
) -> None:
    async def raise_it(_: Job) -> None:
        raise error

    await enqueue(pool, "bad")
    async with running_worker(pool, raise_it):
        await until_state(pool, "bad", "dead")
        await enqueue(pool, "good")
        await until_state(pool, "good", "done")
    assert await attempts(pool) == ["failed"] * 4
    assert (await last_error(pool)).startswith(message)
    assert len(await last_error(pool)) <= 2000


async def test_a_permanent_failure_in_an_exception_group_is_final_too(pool: Pool) -> None:
    async def decline(_: Job) -> None:
        raise ExceptionGroup("several", [OSError(), PermanentFailure("declined")])

    await enqueue(pool, "bad")
    async with running_worker(pool, decline):
        await until_state(pool, "bad", "dead")
    assert await attempts(pool) == ["failed"]


async def test_the_failure_handler_of_a_dead_job_is_retried_without_the_work(pool: Pool) -> None:
    tries: list[str] = []

    async def fail(_: Job) -> None:
        tries.append("work")
        raise OSError("no paper")

    async def follow(_connection: Connection, _job: Job, error: str) -> None:
        tries.append(error)
        if len(tries) < 7:
            raise KeyError("order_id")

    await enqueue(pool, "bad")
    async with running_worker(pool, fail, follow):
        await until_state(pool, "bad", "dead")
    assert tries == ["work"] * 4 + ["OSError: no paper"] * 3


async def test_a_failure_handler_that_always_fails_leaves_a_dead_job_with_its_error(pool: Pool) -> None:
    tries: list[str] = []

    async def fail(_: Job) -> None:
        tries.append("work")
        raise PermanentFailure("declined")

    async def never_follow(_connection: Connection, _job: Job, _error: str) -> None:
        raise LookupError("no such order\0")

    await enqueue(pool, "bad")
    async with running_worker(pool, fail, never_follow):
        await until_state(pool, "bad", "dead")
        await enqueue(pool, "good")
        await until_state(pool, "good", "done")
    assert tries == ["work"]
    assert await attempts(pool) == ["failed"] * (MOST_SET_BACKS + 1)
    assert await last_error(pool) == (
        "PermanentFailure: declined (what follows could not be written: LookupError: no such order\\0)"
    )
