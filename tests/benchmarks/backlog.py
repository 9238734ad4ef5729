"""A relay after an outage: it publishes a backlog of 1,000,000 rows at a constant rate."""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator

import asyncpg
from benchmarks import subjects
from benchmarks.order_events import LIFE_CYCLE, copy_into_outbox, new_order_events
from benchmarks.results import Result
from local_stack.stack import Stack
from support.waiting import eventually

# A smaller number shortens the run.
ROWS = int(os.environ.get("BACKLOG_ROWS", "1000000"))
ROWS_PER_COPY = 10_000
TENTHS = 10
MIN_RATIO = 0.75  # of the rate of the second half to that of the first
TIMEOUT_SECONDS = 1800


def measure() -> Iterator[Result]:
    with subjects.stack("orders") as stack:
        asyncio.run(_fill(stack))
        with subjects.running(stack, "orders", "relay"):
            times = asyncio.run(_watch(stack))
    rates = [ROWS / TENTHS / (later - earlier) for earlier, later in itertools.pairwise(times)]
    for number, rate in enumerate(rates, start=1):
        yield Result.absolute(f"backlog of {ROWS:,}, tenth {number}", "events/s", [rate], is_ceiling=False)
    half = TENTHS // 2
    first, second = rates[:half], rates[half:]
    title = f"backlog of {ROWS:,}, second half"
    yield Result.compared(title, "events/s", second, first, to="first half", floor=MIN_RATIO, aim=0.9)


async def _fill(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.postgres.dsn("orders", "orders"))
    try:
        for _ in range(ROWS // ROWS_PER_COPY):
            await copy_into_outbox(connection, new_order_events(ROWS_PER_COPY // len(LIFE_CYCLE)))
    finally:
        await connection.close()


async def _watch(stack: Stack) -> list[float]:
    """The time of the start, and the time at which each tenth of the rows was marked as published.

    Rows are published in order, apart from those of one round, so the first pending row says how many are published.
    """
    connection = await asyncpg.connect(stack.postgres.dsn("orders", "orders"))
    first_pending = "SELECT coalesce(min(position), $1) FROM outbox_pending"
    times = []
    try:
        for tenth in range(TENTHS + 1):
            target = max(1, tenth * ROWS // TENTHS)

            async def reached(target: int = target) -> bool:
                return bool(await connection.fetchval(first_pending, ROWS + 1) > target)

            await eventually(reached, within=TIMEOUT_SECONDS, pause=0.05)
            times.append(time.monotonic())
    finally:
        await connection.close()
    return times
