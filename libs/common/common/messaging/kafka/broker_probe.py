"""One connection to Kafka that only a process's probes use, and keep: anybody may ask for health, again and again.

aiokafka is imported when Kafka is first asked, as a gateway uses nothing else of it.
"""

import asyncio
from collections.abc import Iterable
from typing import Any


class BrokerProbe:
    """Asks the broker that answered last time, or else all of them for the first that does."""

    def __init__(self, brokers: Iterable[tuple[str, int]], *, answer_seconds: float) -> None:
        self._brokers = tuple(brokers)
        self._answer_seconds = answer_seconds
        self._kept: Any = None

    async def ask(self) -> bool:
        """Whether a broker answered a request: that a port is open means nothing. The caller sets the deadline; half of
        `answer_seconds` is left to the others when the broker that is asked first says nothing."""
        if await self._kept_answers():
            return True
        asked = [asyncio.create_task(self._connect(*each)) for each in self._brokers]
        try:
            for answered in asyncio.as_completed(asked):
                try:
                    self._kept = await answered
                except Exception:  # noqa: S112 - another one may answer
                    continue
                return True
            return False
        finally:
            await self._end(asked)

    async def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    async def _kept_answers(self) -> bool:
        from aiokafka.protocol.metadata import MetadataRequest

        if self._kept is None:
            return False
        try:
            await asyncio.wait_for(self._kept.send(MetadataRequest([])), self._answer_seconds / 2)
        except Exception:  # whatever is wrong with it, a new one tells how the broker is
            await self.close()
            return False
        except BaseException:
            await self.close()
            raise
        return True

    async def _connect(self, host: str, port: int) -> Any:
        """Connecting has a request (ApiVersions) answered."""
        from aiokafka import conn

        return await conn.create_conn(host, port, request_timeout_ms=int(self._answer_seconds * 1000))

    async def _end(self, asked: Iterable["asyncio.Task[Any]"]) -> None:
        """All but the one that is kept."""
        for each in asked:
            each.cancel()
        for found in await asyncio.gather(*asked, return_exceptions=True):
            if not isinstance(found, BaseException) and found is not self._kept:
                found.close()
