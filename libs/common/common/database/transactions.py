"""The connection pool, read-only connections and transactions."""

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import asyncpg

from common.cancellation import shielded
from common.database.address import parse_address
from common.database.connecting import connect
from common.database.failures import (
    DatabaseUnavailable,
    Failure,
    FailuresLogged,
    OutcomeUnknown,
    closes_connection,
    failure_of,
    is_connection_failure,
    is_contention,
    is_read_only,
)
from common.database.notifier import Announcements, Notifier, announcements_of
from common.database.statements import Connection, prepare_connection
from common.database.users import current_user

# Includes what a caller needs to classify the errors of a transaction.
__all__ = [
    "SERVER_SETTINGS",
    "DatabaseUnavailable",
    "FailuresLogged",
    "Pool",
    "is_connection_failure",
    "is_contention",
    "open_pool",
    "reading",
    "transaction",
]

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Pool = asyncpg.Pool

ACQUIRE_SECONDS = 5
# A younger connection was opened to the server that the address leads to now.
YOUNG_SECONDS = 1

# Limits, so that one stuck transaction cannot block every connection of the pool.
SERVER_SETTINGS = {
    "lock_timeout": "5s",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "20s",
    "timezone": "UTC",
}


class _PooledConnection(asyncpg.Connection):
    """Sets no session state, so its release needs no `RESET ALL`: one round trip less per transaction."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opened_at = time.monotonic()
        self.announcements: Announcements | None = None

    def get_reset_query(self) -> str:
        return ""


async def open_pool(
    dsn: str, *, size: int = 10, application_name: str, server_settings: Mapping[str, str] | None = None
) -> Pool:
    """A pool of at most `size` connections, opened when needed. `server_settings` are added to `SERVER_SETTINGS`.

    An `application_name` in the address takes precedence. Raises `InvalidAddress`, and when the database cannot be
    reached what asyncpg raises (`is_connection_failure`).
    """
    notifier = Notifier()

    async def initialize(connection: Any) -> None:
        await prepare_connection(connection)
        connection.announcements = Announcements(notifier)

    return await asyncpg.create_pool(
        dsn,
        connect=cast(Any, connect),
        min_size=1,
        max_size=size,
        timeout=parse_address(dsn).connect_timeout,
        command_timeout=20,
        max_inactive_connection_lifetime=60,
        connection_class=_PooledConnection,
        init=initialize,
        server_settings={**SERVER_SETTINGS, **(server_settings or {}), "application_name": application_name},
    )


@contextlib.asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """A connection without a transaction: each statement sees its own snapshot. Raises `DatabaseUnavailable`, and for
    a request `Problem` RATE_LIMITED when too many of its caller's requests wait."""
    user = current_user.get()
    owner = None if user is None else user.owner
    if user is not None and not user.connections.take_free(owner):
        await user.connections.wait(owner)
    try:
        connection = await _acquire(pool)
        try:
            yield connection
        except BaseException as error:
            if closes_connection(error):
                await _terminate(pool, connection, error)
            raise
        finally:
            await pool.release(connection)
    finally:
        if user is not None:
            user.connections.give_back(owner)


async def _terminate(pool: Pool, connection: Any, error: BaseException) -> None:
    """Close the connection. After a failover to another server close the idle ones too: each would fail once, and
    those that only read would return stale data."""
    opened_at = getattr(connection, "opened_at", None)
    if opened_at is None:
        return  # the server closed it, and the pool has noticed
    connection.terminate()
    # While the server stays read-only, new connections fail too: they must not expire all others every time.
    if is_read_only(error) and time.monotonic() - opened_at > YOUNG_SECONDS:
        await pool.expire_connections()


async def _acquire(pool: Pool) -> "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]":
    # An idle connection is acquired without waiting, and a timer takes longer than the acquisition itself (ADR 15).
    timeout = None if pool.get_idle_size() else ACQUIRE_SECONDS
    try:
        return await pool.acquire(timeout=timeout)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error


@contextlib.asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction, committed at the end of the block, rolled back when it raises. Raises what `reading` raises, and
    `OutcomeUnknown`.

    The commit is shielded from cancellation: the outcome of a commit that is cancelled would be unknown.
    """
    user = current_user.get()
    async with reading(pool) as connection:
        open_transaction, announcements = connection.transaction(), announcements_of(connection)
        await open_transaction.start()
        try:
            yield connection
            if user is not None:
                user.begin_commit()
        except BaseException:
            if announcements is not None:
                announcements.forget()
            await shielded(open_transaction.rollback())
            raise
        try:
            await shielded(open_transaction.commit())
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if isinstance(error, OSError | TimeoutError) or failure_of(error) is Failure.UNAVAILABLE:
                raise OutcomeUnknown(f"{type(error).__name__}: {error}") from error
            raise
        if announcements is not None:
            await announcements.send(connection)
