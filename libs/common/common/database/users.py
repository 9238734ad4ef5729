"""The request for which a connection is used: it has a share of the pool, and is told when a commit begins (ADR 32)."""

from collections.abc import Hashable
from contextvars import ContextVar
from typing import Protocol

from common.database.fair_shares import FairShares


class ConnectionUser(Protocol):
    @property
    def connections(self) -> FairShares: ...

    @property
    def owner(self) -> Hashable:
        """Whose share is used: it may change between two uses."""

    def begin_commit(self) -> None:
        """From now on it is not certain that the request has no effect. Raises `asyncio.CancelledError` if the request
        was answered before."""


# None in the work of other roles and of background tasks. A task has it from the code that creates it.
current_user: ContextVar[ConnectionUser | None] = ContextVar("current_user", default=None)
