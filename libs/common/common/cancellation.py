"""Steps that a cancelled task finishes before it ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def shielded(step: Coroutine[Any, Any, None]) -> None:
    """Await `step` to its end even when this task is cancelled, more than once too; the cancellation is raised
    afterwards. Raises what `step` raises."""
    task = asyncio.ensure_future(step)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancellation = error
        except Exception:
            break
    task.result()
    if cancellation is not None:
        raise cancellation
