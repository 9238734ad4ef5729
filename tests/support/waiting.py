"""Wait on a condition with a deadline, in place of sleeping and hoping."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def eventually(condition: Callable[[], Awaitable[Value]], *, within: float = 30.0, pause: float = 0.02) -> Value:
    """Ask again and again, after `pause` seconds each, until the answer is true, and return it.

    Raises AssertionError after `within` seconds.
    """
    deadline = time.monotonic() + within
    while not (answer := await condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: the last answer was {answer!r}")
        await asyncio.sleep(pause)
    return answer
