"""One connection of a process that only its probes use, and keep: they have it also when every pool is exhausted."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

import asyncpg

from common.database.connecting import connect
from common.database.statements import Connection

Found = TypeVar("Found")


class _KeptConnection(asyncpg.Connection):
    def __del__(self) -> None:
        """Not a forgotten connection, of which asyncpg would warn: its generator closes it."""


class ProbeConnection:
    """Opened at the first probe, and anew after one that failed or met a server that only reads."""

    def __init__(self, dsn: str, *, application_name: str, connect_seconds: float) -> None:
        self._dsn = dsn
        self._application_name = application_name
        self._connect_seconds = connect_seconds
        self._kept: AsyncGenerator[Connection, None] | None = None
        self._turns = asyncio.Lock()

    async def ask(self, question: Callable[[Connection], Awaitable[Found]]) -> Found:
        """The caller sets the deadline; when it is over, the connection is given up. Raises what asyncpg raises.

        A connection that broke since the last probe says nothing about the server: the question is asked again.
        """
        async with self._turns:
            was_kept = self._kept is not None
            try:
                return await self._ask(question)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                if not was_kept:
                    raise
            return await self._ask(question)

    async def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.aclose()

    async def _ask(self, question: Callable[[Connection], Awaitable[Found]]) -> Found:
        if self._kept is None:
            self._kept = self._open()
        try:
            connection = await anext(self._kept)
            answer = await question(connection)
            is_read_only = await connection.fetchval("SHOW transaction_read_only") == "on"
        except BaseException:
            await self.close()
            raise
        if is_read_only:  # after a failover another server has the same name
            await self.close()
        return answer

    async def _open(self) -> AsyncGenerator[Connection, None]:
        """A generator, so that the event loop closes the connection at its own end where nobody else has done so."""
        connection = await connect(
            self._dsn,
            timeout=self._connect_seconds,
            connection_class=_KeptConnection,
            server_settings={"application_name": self._application_name},
        )
        try:
            while True:
                yield connection
        finally:
            connection.terminate()
