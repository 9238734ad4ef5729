"""The places of a process for long requests of one kind, such as exports: each takes a part of its only event loop."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from common.access.auth import Caller
from common.errors import Problem


@dataclass(slots=True)
class RequestSlots:
    """`places` requests at once, of which one caller has all but one: so there is a place for the next caller.

    `kind` is what the requests are called in the refusal.
    """

    kind: str
    places: int = 4
    taken: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def one_for(self, caller: Caller) -> Iterator[None]:
        """A place during the block. Raises `Problem` UNAVAILABLE if the caller may have none now."""
        most = max(1, self.places - 1)
        if self.taken.total() >= self.places or self.taken[caller.scope] >= most:
            raise Problem.unavailable(f"Too many {self.kind} are running; please try again.")
        self.taken[caller.scope] += 1
        try:
            yield
        finally:
            self.taken[caller.scope] -= 1
            if not self.taken[caller.scope]:
                del self.taken[caller.scope]
