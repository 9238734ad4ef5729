"""The query parameter `fields`: which members of an object a response has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Query

from common.errors import Problem

Value = TypeVar("Value")

_Fields = Annotated[
    str | None,
    Query(max_length=1000, description="Only these members, separated by commas, such as `id,status`."),
]


@dataclass(frozen=True, slots=True)
class Selection:
    """All members if `names` is None."""

    names: tuple[str, ...] | None

    def of(self, render: Callable[[Value], Any]) -> Callable[[Value], object]:
        """`render`, or the selected members of its result."""
        names = self.names
        if names is None:
            return render

        def render_selected(value: Value) -> object:
            members = render(value)
            return {name: members[name] for name in names}

        return render_selected


_EVERYTHING = Selection(None)


def selection_of(document: type[Any]) -> Callable[..., Selection]:
    """A dependency that reads `fields`, for responses of this type. It raises `Problem` for an unknown member."""
    known = tuple(document.__annotations__)

    def select(fields: _Fields = None) -> Selection:
        if fields is None:
            return _EVERYTHING
        names = tuple(dict.fromkeys(fields.split(",")))
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None:
            raise Problem.invalid("fields", f"{unknown[:100] or 'an empty name'} is not one of {', '.join(known)}")
        return Selection(names)

    return select
