"""Workers and operators act on the same jobs at once: nothing is lost, and no job runs twice at a time."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from uuid import UUID

from common.database.transactions import Pool, transaction
from common.jobs import control, kinds, queue
from common.jobs.filters import JobFilter
from common.jobs.job import Job, NewJob
from common.telemetry.trace_context import new_traceparent
from support.jobs.handlers import FunctionHandler, running_worker
from support.waiting import eventually

JOBS = 60
SECONDS_OF_RACE = 4.0


class Kiln:
    """Fails two of three attempts, and notices two attempts at the same job."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a race, not a secret
        self._in_work: set[UUID] = set()
        self.overlaps: list[UUID] = []
        self.is_repaired = False

    async def fire(self, job: Job) -> None:
        if job.id in self._in_work:
            self.overlaps.append(job.id)
        self._in_work.add(job.id)
        try:
            for _ in range(self._random.randrange(50)):
                await asyncio.sleep(0)
            if not self.is_repaired and self._random.random() < 2 / 3:
                raise RuntimeError("the kiln is cold")
        finally:
            self._in_work.discard(job.id)


async def replay_all(pool: Pool, state: str) -> None:
    async with transaction(pool) as connection:
        rows = await control.select(connection, JobFilter(state, kind="fire"))
        await control.replay(connection, {row["id"]: row["lease_token"] for row in rows})


async def discard_some(pool: Pool, state: str) -> None:
    async with transaction(pool) as connection:
        rows = await control.select(connection, JobFilter(state, kind="fire"))
        await control.discard(connection, {row["id"]: row["lease_token"] for row in rows[:5]}, "too many", "anna")


async def pause_for_a_moment(pool: Pool) -> None:
    async with transaction(pool) as connection:
        await kinds.pause(connection, "fire", "a race", "anna")
    async with transaction(pool) as connection:
        await kinds.resume(connection, "fire")


async def test_each_job_ends_in_one_state_and_never_runs_twice_at_a_time(pool: Pool) -> None:
    seed = random.randrange(2**32)  # noqa: S311 - printed when the test fails
    kiln, chooser = Kiln(seed), random.Random(seed)  # noqa: S311
    async with transaction(pool) as connection:
        jobs = [NewJob("fire", f"vase-{number}", {}, new_traceparent()) for number in range(JOBS)]
        await queue.enqueue(connection, *jobs)
    handlers = [FunctionHandler("fire", kiln.fire) for _ in range(2)]
    steps = [
        lambda: replay_all(pool, "dead"),
        lambda: replay_all(pool, "discarded"),
        lambda: discard_some(pool, "ready"),
        lambda: discard_some(pool, "dead"),
        lambda: pause_for_a_moment(pool),
    ]

    async def operate(until: float) -> None:
        while asyncio.get_running_loop().time() < until:
            await chooser.choice(steps)()

    async with running_worker(pool, handlers[0]), running_worker(pool, handlers[1]):
        until = asyncio.get_running_loop().time() + SECONDS_OF_RACE
        await asyncio.gather(*(operate(until) for _ in range(3)))
        kiln.is_repaired = True
        async with transaction(pool) as connection:
            await kinds.resume(connection, "fire")
        await replay_all(pool, "dead")
        await replay_all(pool, "discarded")

        async def all_done() -> bool:
            await replay_all(pool, "dead")
            done: int = await pool.fetchval("SELECT count(*) FROM jobs WHERE state = 'done'")
            return done == JOBS

        await eventually(all_done)
    assert kiln.overlaps == [], f"seed {seed}"
    succeeded = await pool.fetch("SELECT job_id FROM job_attempts WHERE outcome = 'succeeded'")
    assert max(Counter(row["job_id"] for row in succeeded).values()) == 1, f"seed {seed}"
    assert len(succeeded) == JOBS, f"seed {seed}"
    assert await pool.fetchval("SELECT count(*) FROM job_attempts WHERE outcome IS NULL") == 0


async def test_after_the_commit_of_a_pause_no_claim_takes_a_job_of_the_kind(pool: Pool) -> None:
    """Claims and pauses race: each claim is either before the pause or takes nothing."""
    lease = timedelta(seconds=30)
    for round_ in range(20):
        async with transaction(pool) as connection:
            await queue.enqueue(
                connection, *(NewJob("fire", f"{round_}-{each}", {}, new_traceparent()) for each in range(4))
            )
        claims = [asyncio.create_task(queue.claim(pool, {"fire": 1}, lease=lease, worker="w")) for _ in range(3)]
        async with transaction(pool) as connection:
            await kinds.pause(connection, "fire", "a race", "anna")
        assert await queue.claim(pool, {"fire": 9}, lease=lease, worker="w") == []
        await asyncio.gather(*claims)
        async with transaction(pool) as connection:
            await kinds.resume(connection, "fire")
        await pool.execute("DELETE FROM jobs")
