"""Rows of jobs and their attempts in the database."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from common.database.statements import Connection
from common.database.transactions import Pool
from common.jobs import control
from support.waiting import eventually


@dataclass(frozen=True)
class JobRow:
    id: UUID
    state: str
    attempts: list[tuple[str | None, str | None]]
    """Outcome and error of each attempt, oldest first; both None while it runs."""
    waits: list[float]
    """Seconds from the end of each attempt to the start of the next."""

    @property
    def errors(self) -> list[str | None]:
        return [error for _, error in self.attempts]


async def find_job(pool: Pool, kind: str, business_key: str) -> JobRow | None:
    job = await pool.fetchrow("SELECT id, state FROM jobs WHERE kind = $1 AND business_key = $2", kind, business_key)
    if job is None:
        return None
    attempts = await pool.fetch("SELECT * FROM job_attempts WHERE job_id = $1 ORDER BY number", job["id"])
    return JobRow(job["id"], job["state"], [(each["outcome"], each["error"]) for each in attempts], _waits(attempts))


def _waits(attempts: list[Any]) -> list[float]:
    return [
        (later["started_at"] - earlier["finished_at"]).total_seconds()
        for earlier, later in pairwise(attempts)
        if earlier["finished_at"] is not None
    ]


async def replay_job(connection: Connection, job_id: UUID) -> bool:
    """As an operator does; False when the job can be run, is running or is done."""
    job = await control.lock(connection, job_id)
    return job is not None and bool(await control.replay(connection, {job_id: job["lease_token"]}))


async def wait_for_state(pool: Pool, kind: str, business_key: str, state: str) -> JobRow:
    """Wait until the job exists and is in the state."""

    async def in_state() -> JobRow | None:
        job = await find_job(pool, kind, business_key)
        return job if job is not None and job.state == state else None

    job = await eventually(in_state)
    assert job is not None
    return job
