"""Waiting in tests: poll a condition with a deadline. The only module of the tests that sleeps."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def eventually(condition: Callable[[], Awaitable[Value]], *, within: float = 30.0, pause: float = 0.02) -> Value:
    """Poll until the condition returns a true value, and return it.

    Raises AssertionError after `within` seconds. `pause` is the poll interval in seconds.
    """
    deadline = time.monotonic() + within
    while not (answer := await condition()):
        assert time.monotonic() < deadline, f"not within {within:g} s: the last answer was {answer!r}"
        await asyncio.sleep(pause)
    return answer


async def eventually_true(condition: Callable[[], Value], *, within: float = 10.0) -> Value:
    """As `eventually`, for a condition that needs no `await`."""

    async def ask() -> Value:
        return condition()

    return await eventually(ask, within=within)


def poll(condition: Callable[[], Value | None], *, within: float = 20.0) -> Value:
    """As `eventually`, for tests without an event loop: blocks the thread."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} s"
        time.sleep(0.02)
    return answer


async def stays_true(condition: Callable[[], bool | Awaitable[bool]], *, seconds: float, why: str) -> None:
    """Show that something does not happen: the condition must be true at every poll for this number of seconds.

    Later events are not detected. `why` says what would have happened within that time.
    """
    deadline = time.monotonic() + seconds
    while True:
        is_over = time.monotonic() >= deadline
        answer = condition()
        assert answer if isinstance(answer, bool) else await answer, f"not true for {seconds:g} s: {why}"
        if is_over:
            return
        await asyncio.sleep(0.02)


async def time_passes(seconds: float, why: str) -> None:
    """Sleep where the passing of time is the subject of the test, never to wait for an event.

    `why` states the reason.
    """
    assert why
    await asyncio.sleep(seconds)
