"""When API keys were last used: noted in memory by each request, written by a task of its own."""

from sqlalchemy import ARRAY, Text, any_, bindparam, func, or_, select, update

from common.component import Component
from common.database.regular_writes import regular_writes
from common.database.statements import Connection, prepare
from common.database.tables import api_keys
from common.database.transactions import Pool

SECONDS_BETWEEN_WRITES = 10.0
# Of one key, by all processes together.
SECONDS_BETWEEN_WRITES_OF_A_KEY = 60
_WRITE_SECONDS = 2.0

_is_due = or_(
    api_keys.c.last_used_at.is_(None),
    api_keys.c.last_used_at <= func.now() - func.make_interval(0, 0, 0, 0, 0, 0, SECONDS_BETWEEN_WRITES_OF_A_KEY),
)
# A row that another process writes at the moment is left to it: nobody waits, and two processes cannot deadlock.
_due = (
    select(api_keys.c.prefix)
    .where(api_keys.c.prefix == any_(bindparam("prefixes", type_=ARRAY(Text))), _is_due)
    .with_for_update(skip_locked=True)
)
_WRITE = prepare(update(api_keys).where(api_keys.c.prefix.in_(_due)).values(last_used_at=func.now()))


class KeyUses:
    """The keys that were used since the last write."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def add(self, prefix: str) -> None:
        self._used.add(prefix)

    async def write(self, connection: Connection) -> None:
        used, self._used = self._used, set()
        try:
            if used:
                await _WRITE.execute(connection, prefixes=list(used))
        except BaseException:
            self._used |= used
            raise

    def component(self, pool: Pool) -> Component:
        failure = "uses of API keys not written; they are part of the next write"
        return regular_writes(
            "key uses", pool, self.write, every=lambda: SECONDS_BETWEEN_WRITES, within=_WRITE_SECONDS, failure=failure
        )
