"""Runs a component of a service (relay, subscriber, worker, server) in this process during a block."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Run = Callable[[asyncio.Event], Awaitable[None]]


@asynccontextmanager
async def running(run: Run, *, stop_within: float = 15) -> AsyncIterator[asyncio.Event]:
    """Run `run(stopping)` during the block, and yield the event that stops it; the end of the block sets the event.

    Raises the error that ended the component.
    """
    stopping = asyncio.Event()
    task = asyncio.ensure_future(run(stopping))
    try:
        yield stopping
    finally:
        stopping.set()
        await asyncio.wait_for(task, stop_within)
