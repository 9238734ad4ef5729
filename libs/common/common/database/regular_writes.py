"""Writes what a process collects in memory to the database, at regular intervals."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from common.component import Component, pause
from common.database.statements import Connection
from common.database.transactions import FailuresLogged, Pool, reading

_log = structlog.get_logger(__name__)


def regular_writes(
    name: str,
    pool: Pool,
    write: Callable[[Connection], Awaitable[None]],
    *,
    every: Callable[[], float],
    within: float,
    failure: str,
) -> Component:
    """A component that pauses for `every()` seconds and then calls `write`, for at most `within` seconds.

    A write that the database does not permit is logged with the text `failure`; `write` keeps what it did not write for
    the next time.
    """

    async def run(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await pause(stopping, every())
            with FailuresLogged(_log.debug, failure):
                async with asyncio.timeout(within), reading(pool) as connection:
                    await write(connection)

    return Component(name, run)
