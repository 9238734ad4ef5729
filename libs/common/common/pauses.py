"""Waiting that ends early when the process stops."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Return after `seconds`, or as soon as `stopping` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def unless_stopping(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Await `work`, but cancel it when `stopping` is set. Whether it finished. Raises what `work` raises."""
    working = asyncio.create_task(work)
    tasks: set[asyncio.Task[Any]] = {working, asyncio.create_task(stopping.wait())}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        return working.done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
