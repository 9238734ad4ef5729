"""A lane changes its relay only when the moves of the relay before are visible (ADR 18)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.database.transactions import Pool, reading, transaction
from common.messaging.outgoing.lanes import LaneLeases
from common.messaging.outgoing.outbox import LANES
from common.messaging.outgoing.pending_events import hold_back, read_pending
from support.kafka.relays import write_events
from support.kafka.topics import MakeTopic
from support.waiting import eventually, eventually_true

HOLD = 5


@asynccontextmanager
async def renewing(leases: LaneLeases) -> AsyncIterator[LaneLeases]:
    task = asyncio.create_task(leases.renew_regularly())
    try:
        yield leases
    finally:
        task.cancel()


async def test_another_relay_takes_no_lane_whose_rows_are_being_held_back(pool: Pool, make_topic: MakeTopic) -> None:
    """It would look for held rows before they are visible, and publish later events of the same keys."""
    await write_events(pool, await make_topic(partitions=3), ["order-1"], range(1, 2))
    async with reading(pool) as connection:
        (row,) = await read_pending(connection, range(LANES))
    async with renewing(LaneLeases(pool, "before")) as before:
        await eventually_true(lambda: len(before.held()) == LANES)
        tokens = before.held()
    await pool.execute("UPDATE relay_lanes SET leased_until = now() - interval '1 s'")
    await pool.execute("DELETE FROM relays")

    async with transaction(pool) as connection:
        await hold_back(connection, [row], HOLD, tokens)
        async with renewing(LaneLeases(pool, "after")) as after:
            await eventually(lambda: pool.fetchval("SELECT count(*) = 1 FROM relays WHERE owner = 'after'"))
            assert not after.held()
            assert await pool.fetchval("SELECT count(*) FROM relay_lanes WHERE owner = 'after'") == 0
    async with renewing(LaneLeases(pool, "after")) as after:
        await eventually_true(lambda: len(after.held()) == LANES)
    assert await pool.fetchval("SELECT hold FROM outbox_pending") == HOLD
