"""The connection of a process's health probes: available even when every connection of the pools is in use."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

import asyncpg

from common.database.connecting import connect
from common.database.statements import Connection

Answer = TypeVar("Answer")


class _Connection(asyncpg.Connection):
    def __del__(self) -> None:
        """Without asyncpg's warning about a connection that was not closed: the generator closes it."""


class ProbeConnection:
    """Opened by the first probe, and again after a probe that failed or found a read-only server."""

    def __init__(self, dsn: str, *, application_name: str, connect_seconds: float) -> None:
        self._dsn = dsn
        self._application_name = application_name
        self._connect_seconds = connect_seconds
        self._open_connection: AsyncGenerator[Connection, None] | None = None
        self._lock = asyncio.Lock()

    async def ask(self, query: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        """The caller sets a time limit; a query that it cancels closes the connection. Raises what asyncpg raises.

        A connection that broke since the last probe does not prove that the server is down: the query is repeated on a
        new one.
        """
        async with self._lock:
            was_open = self._open_connection is not None
            try:
                return await self._ask(query)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                if not was_open:
                    raise
            return await self._ask(query)

    async def close(self) -> None:
        connection, self._open_connection = self._open_connection, None
        if connection is not None:
            await connection.aclose()

    async def _ask(self, query: Callable[[Connection], Awaitable[Answer]]) -> Answer:
        if self._open_connection is None:
            self._open_connection = self._open()
        try:
            connection = await anext(self._open_connection)
            answer = await query(connection)
            is_read_only = await connection.fetchval("SHOW transaction_read_only") == "on"
        except BaseException:
            await self.close()
            raise
        if is_read_only:  # after a failover, the address may lead to another server
            await self.close()
        return answer

    async def _open(self) -> AsyncGenerator[Connection, None]:
        """A generator, so that the event loop closes a connection that is still open when the loop ends."""
        connection = await connect(
            self._dsn,
            timeout=self._connect_seconds,
            connection_class=_Connection,
            server_settings={"application_name": self._application_name},
        )
        try:
            while True:
                yield connection
        finally:
            connection.terminate()
