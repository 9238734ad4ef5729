"""The unit that a process runs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Component:
    """Something that runs until `stopping` is set; that it ends or raises before then ends the whole process.

    `not_ready` says why the process should not count as ready, or None.
    """

    name: str
    run: Callable[[asyncio.Event], Awaitable[None]]
    not_ready: Callable[[], str | None] = lambda: None
