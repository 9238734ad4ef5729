"""Extend the leases of the jobs that a worker runs, and release those of workers that stopped."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog

from common.database.failures import is_connection_failure
from common.database.transactions import Pool, reading
from common.jobs import queue
from common.jobs.job import Job
from common.text.storable import describe_error

_log = structlog.get_logger(__name__)


async def keep_leases(pool: Pool, running: Callable[[], Sequence[Job]], lease: timedelta) -> None:
    """Four times per lease, until cancelled.

    A lease that expired while the database was away says nothing about its worker, which then gets the time of one
    more lease to extend it.
    """
    release_from = 0.0
    while True:
        try:
            own = running()
            async with reading(pool) as connection:
                await queue.extend(connection, own, lease)
                may_release = time.monotonic() >= release_from
                released = await queue.release_expired(connection, own) if may_release else 0
            if released:
                _log.warning("jobs of workers that stopped were released", count=released)
        except Exception as error:
            if not is_connection_failure(error):
                raise
            release_from = time.monotonic() + lease.total_seconds()
            _log.warning("job leases not extended", error=describe_error(error))
        await asyncio.sleep(lease.total_seconds() / 4)
