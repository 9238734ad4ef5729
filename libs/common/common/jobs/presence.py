"""Presence of a worker: a row that it renews while it runs, with the kinds of jobs that it runs.

Nothing of the queue depends on it: it tells operators why a job that is due does not start (ADR 42).
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from common.database.statements import prepare
from common.database.tables import workers
from common.database.transactions import Pool, reading
from common.text.storable import describe_error

SECONDS_BETWEEN_REPORTS = 3.0
# A worker that is silent for so long has stopped, or its event loop hangs.
SILENT_AFTER = timedelta(seconds=15)

_log = structlog.get_logger(__name__)
_name = sa.bindparam("name", type_=sa.Text)
_report = insert(workers).values(
    name=_name,
    kinds=sa.bindparam("kinds", type_=sa.ARRAY(sa.Text)),
    active_until=sa.func.now() + sa.bindparam("silence", type_=sa.Interval),
)
_REPORT = prepare(
    _report.on_conflict_do_update(index_elements=[workers.c.name], set_={"active_until": _report.excluded.active_until})
)
_FORGET_SILENT = prepare(sa.delete(workers).where(workers.c.active_until <= sa.func.now()))
_LEAVE = prepare(sa.delete(workers).where(workers.c.name == _name))


async def report_presence(pool: Pool, name: str, kinds: Sequence[str]) -> None:
    """Until cancelled. `name` is unique among the workers of the database."""
    while True:
        try:
            async with reading(pool) as connection:
                await _FORGET_SILENT.execute(connection)
                await _REPORT.execute(connection, name=name, kinds=list(kinds), silence=SILENT_AFTER)
        except Exception as error:  # any, such as a missing permission: the worker must run its jobs all the same
            _log.warning("the presence of the worker was not reported", error=describe_error(error))
        await asyncio.sleep(SECONDS_BETWEEN_REPORTS)


async def end_presence(pool: Pool, name: str) -> None:
    try:
        async with reading(pool) as connection:
            await _LEAVE.execute(connection, name=name)
    except Exception as error:
        _log.warning("the end of the worker was not reported", error=describe_error(error))
