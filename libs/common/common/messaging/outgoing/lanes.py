"""Leases of lanes: a key has one lane, and a lane is leased to one relay at a time (ADR 4).

Leases end by the database's clock. A relay stops using its lanes a little earlier by its own monotonic clock, and every
write names the tokens of its leases, so that a relay that was paused or cut off changes nothing when it continues.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from datetime import timedelta

import structlog
from sqlalchemy import Integer, Interval, SmallInteger, Text, any_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from common.database.statements import prepare
from common.database.tables import relay_lanes, relays
from common.database.transactions import FailuresLogged, Pool, transaction
from common.messaging.outgoing.outbox import LANES

_log = structlog.get_logger(__name__)

# The part of a lease after which its holder no longer relies on it: clocks of two machines may run at different speeds.
RELIED_ON = 0.8
SECONDS_WHILE_SHORT_OF_LANES = 0.25

_me = bindparam("me", type_=Text)
_end = func.now() + bindparam("lease", type_=Interval)
_is_mine = (relay_lanes.c.owner == _me) & (relay_lanes.c.leased_until > func.now())
_leased = (relay_lanes.c.lane, relay_lanes.c.token)

_report = insert(relays).values(owner=_me, active_until=_end)
_REPORT = prepare(
    _report.on_conflict_do_update(index_elements=[relays.c.owner], set_={"active_until": _report.excluded.active_until})
)
_FORGET_DEAD = prepare(delete(relays).where(relays.c.active_until <= func.now()))
_COUNT = prepare(select(func.count()).select_from(relays))
_LEAVE = prepare(delete(relays).where(relays.c.owner == _me))
_RENEW = prepare(update(relay_lanes).where(_is_mine).values(leased_until=_end).returning(*_leased))
_free = (
    select(relay_lanes.c.lane)
    .where(or_(relay_lanes.c.leased_until.is_(None), relay_lanes.c.leased_until <= func.now()))
    .order_by(relay_lanes.c.lane)
    .limit(bindparam("count", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("free")
)
_TAKE = prepare(
    update(relay_lanes)
    .where(relay_lanes.c.lane == _free.c.lane)
    .values(owner=_me, token=relay_lanes.c.token + 1, leased_until=_end)
    .returning(*_leased)
)
_GIVE_UP = prepare(
    update(relay_lanes)
    .where(_is_mine, relay_lanes.c.lane == any_(bindparam("lanes", type_=ARRAY(SmallInteger))))
    .values(owner=None, leased_until=None)
)


class LaneLeases:
    """The lanes of one relay, each with the token of its lease.

    `lease_seconds` is how long the lanes of a dead relay stay unserved; leases are renewed at a third of it.
    """

    def __init__(self, pool: Pool, owner: str, *, lease_seconds: float = 3.0) -> None:
        self._pool = pool
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._tokens: dict[int, int] = {}
        self._relied_on_until = 0.0
        self._relays = 1
        self._changing = asyncio.Lock()

    def held(self) -> Mapping[int, int]:
        """Lane → token of the leases that can still be relied on."""
        return dict(self._tokens) if time.monotonic() < self._relied_on_until else {}

    def are_held(self, tokens: Mapping[int, int]) -> bool:
        return tokens.items() <= self.held().items()

    async def renew_regularly(self) -> None:
        """Renew the leases, and take free lanes up to a fair share, until cancelled."""
        log = _log.bind(owner=self._owner)
        while True:
            with FailuresLogged(log.warning, "lane leases not renewed"):
                await self._refresh()
            seconds = self._lease_seconds / 3
            if len(self._tokens) < LANES // self._relays:
                seconds = min(seconds, SECONDS_WHILE_SHORT_OF_LANES)
            await asyncio.sleep(seconds)

    async def give_up_surplus(self) -> None:
        """Hand lanes over to relays that have fewer; call it only while nothing is being sent."""
        surplus = sorted(self._tokens)[-(-LANES // self._relays) :]
        if surplus:
            await self._give_up(surplus)

    async def release(self) -> None:
        """Give up all lanes and delete this relay's row, so that the others need not wait for leases to expire."""
        await self._give_up(list(self._tokens))
        async with transaction(self._pool) as connection:
            await _LEAVE.execute(connection, me=self._owner)

    async def _refresh(self) -> None:
        lease = {"me": self._owner, "lease": timedelta(seconds=self._lease_seconds)}
        async with self._changing:
            asked_at = time.monotonic()
            async with transaction(self._pool) as connection:
                await _REPORT.execute(connection, **lease)
                await _FORGET_DEAD.execute(connection)
                count: int = await _COUNT.fetch_value(connection)
                leases = await _RENEW.fetch_all(connection, **lease)
                missing = -(-LANES // count) - len(leases)
                if missing > 0:
                    leases += await _TAKE.fetch_all(connection, **lease, count=missing)
            self._relays = count
            self._tokens = {row["lane"]: row["token"] for row in leases}
            self._relied_on_until = asked_at + self._lease_seconds * RELIED_ON

    async def _give_up(self, lanes: Collection[int]) -> None:
        async with self._changing:
            for lane in lanes:
                self._tokens.pop(lane, None)
            async with transaction(self._pool) as connection:
                await _GIVE_UP.execute(connection, me=self._owner, lanes=list(lanes))
