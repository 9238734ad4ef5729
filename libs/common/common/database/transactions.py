"""Connections and transactions: who opens one, and how it ends."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import asyncpg

from common.database.address import parse_address
from common.database.connecting import CONNECT_SECONDS, connect
from common.database.failures import (
    DatabaseUnavailable,
    ends_connection,
    is_connection_failure,
    is_contention,
    is_database_failure,
    is_read_only,
)
from common.database.statements import Connection, prepare_connection

# With what a caller needs to judge the errors that come out of a transaction.
__all__ = [
    "SERVER_SETTINGS",
    "DatabaseUnavailable",
    "Pool",
    "is_connection_failure",
    "is_contention",
    "is_database_failure",
    "open_pool",
    "reading",
    "transaction",
]

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Pool = asyncpg.Pool

ACQUIRE_SECONDS = 5
# A connection that was opened so recently was opened to the server that is there now.
YOUNG_SECONDS = 1

# A statement that waits longer than this for a row lock or an answer is given up, so that one stuck transaction
# cannot take every connection with it.
SERVER_SETTINGS = {
    "lock_timeout": "5s",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "20s",
    "timezone": "UTC",
}


class _PooledConnection(asyncpg.Connection):
    """Keeps no session state, so handing it back needs no `RESET ALL`: one round trip less per transaction."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opened_at = time.monotonic()

    def get_reset_query(self) -> str:
        return ""


async def open_pool(
    dsn: str, *, size: int = 10, application_name: str, server_settings: Mapping[str, str] | None = None
) -> Pool:
    """A pool of at most `size` connections, opened as they are needed, with server settings beside the standard ones.

    An `application_name` in the address replaces the one that is given. Raises `InvalidAddress`, and what asyncpg
    raises when the database cannot be reached; see `is_connection_failure`.
    """
    return await asyncpg.create_pool(
        dsn,
        connect=cast(Any, connect),
        min_size=1,
        max_size=size,
        timeout=parse_address(dsn).connect_timeout or CONNECT_SECONDS,
        command_timeout=20,
        max_inactive_connection_lifetime=60,
        connection_class=_PooledConnection,
        init=prepare_connection,
        server_settings={**SERVER_SETTINGS, **(server_settings or {}), "application_name": application_name},
    )


@contextlib.asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """A connection without a transaction: each statement sees its own snapshot. Raises `DatabaseUnavailable`."""
    connection = await _acquire(pool)
    try:
        yield connection
    except BaseException as error:
        if ends_connection(error):
            await _let_go(pool, connection, error)
        raise
    finally:
        await pool.release(connection)


async def _let_go(pool: Pool, connection: Any, error: BaseException) -> None:
    """Close the connection. After a failover to another server the idle ones go too: they would all fail once, and
    those that only read would go on with old data."""
    with contextlib.suppress(asyncpg.InterfaceError):  # the server has closed it, and the pool has seen that already
        age = time.monotonic() - connection.opened_at
        connection.terminate()
        # While a server stays read-only, new connections to it fail too: that is no reason to expire all of them again.
        if is_read_only(error) and age > YOUNG_SECONDS:
            await pool.expire_connections()


async def _acquire(pool: Pool) -> "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]":
    # One that is idle is had at once; only waiting needs the timer, which costs more than all the rest (ADR 0015).
    timeout = None if pool.get_idle_size() else ACQUIRE_SECONDS
    try:
        return await pool.acquire(timeout=timeout)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error


@contextlib.asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction, committed at the end of the block, rolled back when it raises. Raises `DatabaseUnavailable`.

    The commit is shielded: a task that is cancelled while it waits for COMMIT cannot know whether the commit took
    place, so it is made to wait for the answer first.
    """
    async with reading(pool) as connection:
        open_transaction = connection.transaction()
        await open_transaction.start()
        try:
            yield connection
        except BaseException:
            await _to_the_end(open_transaction.rollback())
            raise
        await _to_the_end(open_transaction.commit())


async def _to_the_end(step: Coroutine[Any, Any, None]) -> None:
    """Await `step` even when the caller is cancelled meanwhile; the cancellation is delivered afterwards."""
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:
            break
    task.result()
    if cancelled is not None:
        raise cancelled
