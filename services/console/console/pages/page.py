"""A page: its address, its function, and the operations that it needs. One row in `pages.table`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from common.access.auth import Role

from console.operations import Operation, may_call
from console.pages.answers import Answer
from console.pages.visit import Visit

PageFunction = Callable[[Visit], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Page:
    """`needs` are the operations without which the page shows or does nothing: who may call all of them sees the page.

    A page with a place in the `navigation` has no parameters in its path. Its lowest number is first."""

    path: str
    title: str
    function: PageFunction
    needs: tuple[Operation, ...] = ()
    method: str = "GET"
    in_navigation: bool = False

    def is_for(self, role: Role) -> bool:
        return may_call(role, self.needs)
