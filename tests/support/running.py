"""A component of a service (relay, subscriber, worker, server) at work in this process for the length of a block."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Run = Callable[[asyncio.Event], Awaitable[None]]


@asynccontextmanager
async def running(run: Run, *, stop_within: float = 15) -> AsyncIterator[asyncio.Event]:
    """Runs `run(stopping)` beside the block, and gives the event that stops it; the end of the block sets that event.

    Raises what ended the component.
    """
    stopping = asyncio.Event()
    task = asyncio.ensure_future(run(stopping))
    try:
        yield stopping
    finally:
        stopping.set()
        await asyncio.wait_for(task, stop_within)
