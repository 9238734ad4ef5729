"""Waits that a stop cuts short."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Return after `seconds`, or as soon as `stopping` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def unless_stopping(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether `work` came to its end; it is cancelled when `stopping` is set before. Raises what `work` raises."""
    working = asyncio.create_task(work)
    stop = asyncio.create_task(stopping.wait())
    waited: set[asyncio.Task[Any]] = {working, stop}
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        return working.done()
    finally:
        for task in waited:
            task.cancel()
        await asyncio.gather(*waited, return_exceptions=True)
