"""Finds the rows of API keys, many in one query where their senders have asked for too many that there are not."""

import asyncio
from typing import Any

from common.access import api_keys
from common.database.transactions import Pool, reading
from common.errors import Code, Problem

SECONDS_PER_QUERY = 0.1
WAITING_LIMIT = 1_000


class KeyLookUps:
    """`find` asks the database at once. `find_together` asks for all prefixes of a tenth of a second in one query, so
    that made-up keys cost the same however many are tried, and a good key that comes with them is found as well."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def find(self, prefix: str) -> Any:
        """The row of a key that is neither revoked nor expired; None without one."""
        async with reading(self._pool) as connection:
            return await api_keys.find_valid(connection, prefix)

    async def find_together(self, prefix: str) -> Any:
        """As `find`, within a tenth of a second. Raises `Problem` RATE_LIMITED when too many wait already."""
        found = self._waiting.get(prefix)
        if found is None:
            if len(self._waiting) >= WAITING_LIMIT:
                raise Problem(Code.RATE_LIMITED, "Too many unknown API keys were tried.", retry_after=1)
            found = self._waiting[prefix] = asyncio.get_running_loop().create_future()
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_for_all())
        return await asyncio.shield(found)

    async def _ask_for_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(SECONDS_PER_QUERY)
            waiting, self._waiting = self._waiting, {}
            try:
                async with reading(self._pool) as connection:
                    rows = await api_keys.find_valid_among(connection, waiting)
            except Exception as error:  # whoever waits meets it
                for found in waiting.values():
                    found.set_exception(error)
                    found.exception()  # seen, also where nobody waits any more
            else:
                for prefix, found in waiting.items():
                    found.set_result(rows.get(prefix))
