"""A component: a task of a process that runs until the process stops."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Component:
    """`run` returns when `stopping` is set. If it returns or raises before, the process exits.

    `not_ready` returns the reason why the process is not ready, or None.
    """

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]
    not_ready: Callable[[], str | None] = lambda: None
