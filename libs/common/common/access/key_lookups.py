"""Look-ups of API keys in the database: one by one, or many in one query to bound the cost of unknown keys."""

import asyncio
from typing import Any

from common.access import api_keys
from common.database.transactions import Pool, reading
from common.errors import Code, Problem

SECONDS_PER_QUERY = 0.1
WAITING_LIMIT = 1_000


class KeyLookUps:
    """`find` queries one prefix. `find_together` queries all prefixes of a tenth of a second together: any number of
    made-up keys costs one query, and a valid key among them is found as well."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._querying: asyncio.Task[None] | None = None

    async def find(self, prefix: str) -> Any:
        """The row of a key that is neither revoked nor expired, or None."""
        async with reading(self._pool) as connection:
            return await api_keys.find_valid(connection, prefix)

    async def find_together(self, prefix: str) -> Any:
        """As `find`, after up to a tenth of a second. Raises `Problem` RATE_LIMITED when too many look-ups wait."""
        row = self._waiting.get(prefix)
        if row is None:
            if len(self._waiting) >= WAITING_LIMIT:
                raise Problem(Code.RATE_LIMITED, "Too many unknown API keys were tried.", retry_after=1)
            row = self._waiting[prefix] = asyncio.get_running_loop().create_future()
        if self._querying is None or self._querying.done():
            self._querying = asyncio.create_task(self._query_all())
        return await asyncio.shield(row)

    async def _query_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(SECONDS_PER_QUERY)
            waiting, self._waiting = self._waiting, {}
            try:
                async with reading(self._pool) as connection:
                    rows = await api_keys.find_valid_among(connection, waiting)
            except Exception as error:  # raised in each waiting look-up
                for row in waiting.values():
                    row.set_exception(error)
                    row.exception()  # so that asyncio does not log it if nobody waits any more
            else:
                for prefix, row in waiting.items():
                    row.set_result(rows.get(prefix))
