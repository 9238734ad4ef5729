"""Extend the leases of the jobs that a worker runs, and release those of workers that stopped."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import sqlalchemy as sa
import structlog

from common.database.failures import is_connection_failure
from common.database.statements import Connection, array_rows, prepare
from common.database.tables import job_attempts, jobs
from common.database.transactions import Pool, reading
from common.jobs.job import Job, is_in_state
from common.text.storable import describe_error

_log = structlog.get_logger(__name__)

_running = array_rows("running", id=sa.Uuid, token=sa.BigInteger)
# A locked row (by the end of its own attempt, or by hand) is skipped, so that the other jobs keep their leases.
_extended = (
    sa.select(jobs.c.id)
    .join(_running, sa.and_(jobs.c.id == _running.c.id, jobs.c.lease_token == _running.c.token))
    .where(is_in_state("running"))
    .with_for_update(of=jobs, skip_locked=True)
    .cte("extended")
)
_EXTEND = prepare(
    sa.update(jobs)
    .where(jobs.c.id == _extended.c.id)
    .values(leased_until=sa.func.now() + sa.bindparam("lease", type_=sa.Interval))
)

_is_foreign = jobs.c.id != sa.all_(sa.bindparam("own", type_=sa.ARRAY(sa.Uuid)))
_expired = (
    sa.select(jobs.c.id)
    .where(is_in_state("running"), jobs.c.leased_until < sa.func.now(), _is_foreign)
    .with_for_update(skip_locked=True)
    .cte("expired")
)
_released = (
    sa.update(jobs)
    .where(jobs.c.id == _expired.c.id)
    .values(state="ready", leased_until=None, abandoned=jobs.c.abandoned + 1)
    .returning(jobs.c.id, jobs.c.attempts)
    .cte("released")
)
_RELEASE_EXPIRED = prepare(
    sa.update(job_attempts)
    .where(job_attempts.c.job_id == _released.c.id, job_attempts.c.number == _released.c.attempts)
    .values(outcome="abandoned", finished_at=sa.func.now(), error="the worker stopped before it was done")
)


async def keep_leases(pool: Pool, running: Callable[[], Sequence[Job]], lease: timedelta) -> None:
    """Four times per lease, until cancelled.

    A lease that expired while the database was unavailable says nothing about its worker, which then gets the time of
    one more lease to extend it.
    """
    release_from = 0.0
    while True:
        try:
            own_jobs = running()
            async with reading(pool) as connection:
                await extend(connection, own_jobs, lease)
                may_release = time.monotonic() >= release_from
                released_count = await release_expired(connection, own_jobs) if may_release else 0
            if released_count:
                _log.warning("jobs of workers that stopped were released", count=released_count)
        except Exception as error:
            if not is_connection_failure(error):
                raise
            release_from = time.monotonic() + lease.total_seconds()
            _log.warning("job leases not extended", error=describe_error(error))
        await asyncio.sleep(lease.total_seconds() / 4)


async def extend(connection: Connection, running: Sequence[Job], lease: timedelta) -> None:
    """Extend the leases of running jobs; a lease that was lost stays lost."""
    tokens = [job.lease_token for job in running]
    await _EXTEND.execute(connection, ids=[job.id for job in running], tokens=tokens, lease=lease)


async def release_expired(connection: Connection, own: Sequence[Job] = ()) -> int:
    """Make jobs with an expired lease claimable again, except the caller's own; returns how many."""
    return await _RELEASE_EXPIRED.execute(connection, own=[job.id for job in own])
