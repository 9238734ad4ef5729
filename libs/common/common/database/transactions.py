"""Connections and transactions: who opens one, how it ends, and which failures are nobody's fault."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import asyncpg

from common.database.address import parse_address
from common.database.connecting import CONNECT_SECONDS, connect
from common.database.statements import Connection, prepare_connection

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Pool = asyncpg.Pool

ACQUIRE_SECONDS = 5

# A statement that waits longer than this for a row lock or an answer is given up, so that one stuck transaction
# cannot take every connection with it.
SERVER_SETTINGS = {
    "lock_timeout": "5s",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "20s",
    "timezone": "UTC",
}


class DatabaseUnavailable(Exception):
    """No connection was to be had: the server is away, or every connection of the pool is busy."""


class _PooledConnection(asyncpg.Connection):
    """Keeps no session state, so handing it back needs no `RESET ALL`: one round trip less per transaction."""

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


@asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """A connection without a transaction: each statement sees its own snapshot. Raises `DatabaseUnavailable`."""
    connection = await _acquire(pool)
    try:
        yield connection
    finally:
        await pool.release(connection)


async def _acquire(pool: Pool) -> "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]":
    # One that is idle is had at once; only waiting needs the timer, which costs more than all the rest (ADR 0015).
    timeout = None if pool.get_idle_size() else ACQUIRE_SECONDS
    try:
        return await pool.acquire(timeout=timeout)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error


@asynccontextmanager
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


def is_database_failure(error: BaseException) -> bool:
    """Whether the database was away or gave up on us, so that the same work may succeed later unchanged."""
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # asyncpg's own word for an argument that the database cannot hold
    return isinstance(
        error,
        DatabaseUnavailable
        | asyncpg.InternalClientError  # what asyncpg says when a connection breaks in the middle of its protocol
        | asyncpg.PostgresConnectionError
        | asyncpg.OperatorInterventionError
        | asyncpg.InsufficientResourcesError
        | asyncpg.LockNotAvailableError
        | asyncpg.DeadlockDetectedError
        | asyncpg.SerializationError
        | asyncpg.IdleInTransactionSessionTimeoutError,
    )


def is_connection_failure(error: BaseException) -> bool:
    """As `is_database_failure`, where the database is the only thing outside that can have failed."""
    return is_database_failure(error) or isinstance(error, OSError | TimeoutError)
