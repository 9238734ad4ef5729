"""A relay that was away: a backlog of 1,000,000 rows drains at a steady rate, from the first tenth to the last."""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator

import asyncpg
from benchmarks import subjects
from benchmarks.order_events import LIFE, copy_into_outbox, lives_of
from benchmarks.results import Result
from local_stack.stack import Stack
from support.waiting import eventually

# The settings shorten it for a try.
ROWS = int(os.environ.get("BACKLOG_ROWS", "1000000"))
ROWS_PER_COPY = 10_000
TENTHS = 10
STEADY = 0.75  # of the first half's rate is the least that the second half must have
PATIENCE_SECONDS = 1800


def measure() -> Iterator[Result]:
    with subjects.stack("orders") as stack:
        asyncio.run(_fill(stack))
        with subjects.running(stack, "orders", "relay"):
            moments = asyncio.run(_watch(stack))
    rates = [ROWS / TENTHS / (later - earlier) for earlier, later in itertools.pairwise(moments)]
    for number, rate in enumerate(rates, start=1):
        yield Result.absolute(f"backlog of {ROWS:,}, tenth {number}", "events/s", [rate], is_ceiling=False)
    half = TENTHS // 2
    first, second = rates[:half], rates[half:]
    title = f"backlog of {ROWS:,}, second half"
    yield Result.compared(title, "events/s", second, first, to="first half", floor=STEADY, aim=0.9)


async def _fill(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.postgres.dsn("orders", "orders"))
    try:
        for _ in range(ROWS // ROWS_PER_COPY):
            await copy_into_outbox(connection, lives_of(ROWS_PER_COPY // len(LIFE)))
    finally:
        await connection.close()


async def _watch(stack: Stack) -> list[float]:
    """When the drain began, and when each tenth of the rows was marked.

    Rows are sent in their order, up to a round's length: the first pending one says how many are gone.
    """
    connection = await asyncpg.connect(stack.postgres.dsn("orders", "orders"))
    left = "SELECT coalesce(min(position), $1) FROM outbox_pending"
    moments = []
    try:
        for tenth in range(TENTHS + 1):
            goal = max(1, tenth * ROWS // TENTHS)

            async def reached(goal: int = goal) -> bool:
                return bool(await connection.fetchval(left, ROWS + 1) > goal)

            await eventually(reached, within=PATIENCE_SECONDS, pause=0.05)
            moments.append(time.monotonic())
    finally:
        await connection.close()
    return moments
