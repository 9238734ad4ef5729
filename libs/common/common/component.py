"""A component, which is a task of a process that runs until the process stops, and its pauses."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Component:
    """A long-running task of a process, such as the relay. `run` returns when `stopping` is set; if it returns or
    raises before, the process exits.

    `not_ready` returns the reason why the process is not ready, or None.
    """

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]
    not_ready: Callable[[], str | None] = lambda: None


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Return after `seconds`, or as soon as `stopping` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def unless_stopping(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Await `work`, but cancel it when `stopping` is set. Returns whether it finished. Raises what `work` raises."""
    work_task = asyncio.create_task(work)
    tasks: set[asyncio.Task[Any]] = {work_task, asyncio.create_task(stopping.wait())}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if work_task.done():
            work_task.result()
        return work_task.done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
