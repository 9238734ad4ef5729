"""A health check of Kafka that reuses its connection, as anybody may ask for health again and again.

aiokafka is imported at the first check, as a gateway uses nothing else of it.
"""

import asyncio
from collections.abc import Iterable
from typing import Any


class BrokerProbe:
    """Asks the broker that answered last time; if it does not answer now, all brokers concurrently."""

    def __init__(self, brokers: Iterable[tuple[str, int]], *, answer_seconds: float) -> None:
        self._brokers = tuple(brokers)
        self._answer_seconds = answer_seconds
        self._connection: Any = None

    async def ask(self) -> bool:
        """Whether a broker answered a request; an open port proves nothing. The caller sets the deadline; the broker
        that is asked first has half of `answer_seconds`, so that the others have time too."""
        if await self._connection_answers():
            return True
        attempts = [asyncio.create_task(self._connect(*each)) for each in self._brokers]
        try:
            for attempt in asyncio.as_completed(attempts):
                try:
                    self._connection = await attempt
                except Exception:  # noqa: S112 - another one may answer
                    continue
                return True
            return False
        finally:
            await self._end(attempts)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _connection_answers(self) -> bool:
        from aiokafka.protocol.metadata import MetadataRequest

        if self._connection is None:
            return False
        try:
            await asyncio.wait_for(self._connection.send(MetadataRequest([])), self._answer_seconds / 2)
        except Exception:  # of any kind: a new connection shows whether the broker works
            await self.close()
            return False
        except BaseException:
            await self.close()
            raise
        return True

    async def _connect(self, host: str, port: int) -> Any:
        """The broker has answered a request (ApiVersions) when the connection is there."""
        from aiokafka import conn

        return await conn.create_conn(host, port, request_timeout_ms=int(self._answer_seconds * 1000))

    async def _end(self, connecting: Iterable["asyncio.Task[Any]"]) -> None:
        """Close all connections but the one for the next check."""
        for task in connecting:
            task.cancel()
        for result in await asyncio.gather(*connecting, return_exceptions=True):
            if not isinstance(result, BaseException) and result is not self._connection:
                result.close()
